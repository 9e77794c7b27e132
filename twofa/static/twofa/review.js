// The lens on each picture, and the keys of the review. Without this file every form and every picture still works.
const LARGEST = 6;
const STEP = 1.5;

document.addEventListener("DOMContentLoaded", () => {
  const cards = [...document.querySelectorAll(".twofa-card")];
  if (!cards.length) return;
  cards.forEach((card) => card.querySelectorAll(".twofa-picture").forEach(fitLens));
  cards.forEach((card) => card.querySelectorAll(".twofa-decide").forEach(foldForm));
  const desk = { cards, place: Math.max(cards.findIndex((card) => "twofaWaiting" in card.dataset), 0) };
  document.addEventListener("focusin", (event) => {
    const found = cards.indexOf(event.target.closest(".twofa-card"));
    if (found >= 0) desk.place = found;
  });
  document.addEventListener("keydown", (event) => press(desk, event));
});

const KEYS = {
  j: (desk) => move(desk, 1),
  k: (desk) => move(desk, -1),
  a: (desk) => decide(desk, "approve", "[type=submit]"),
  r: (desk) => decide(desk, "reject", "select"),
  o: (desk) => look(desk, "turn"),
  "+": (desk) => look(desk, "larger"),
  "=": (desk) => look(desk, "larger"),
  "-": (desk) => look(desk, "smaller"),
  n: () => document.getElementById("twofa-next")?.requestSubmit(),
};

function press(desk, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat && "anr".includes(event.key)) return;
  // A letter that somebody types is a letter.
  if (event.target.closest("textarea, select, [contenteditable], input:not([type=radio])")) return;
  const act = KEYS[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act(desk);
}

function move(desk, by) {
  desk.place = Math.min(Math.max(desk.place + by, 0), desk.cards.length - 1);
  desk.cards[desk.place].focus();
  desk.cards[desk.place].scrollIntoView({ block: "nearest" });
}

function decide(desk, verdict, next) {
  const form = desk.cards[desk.place].querySelector(".twofa-decide");
  const radio = form?.querySelector(`[name=verdict][value=${verdict}]`);
  if (!radio) return;
  radio.checked = true;
  radio.dispatchEvent(new Event("change", { bubbles: true }));
  form.querySelector(next).focus();
}

function look(desk, what) {
  desk.cards[desk.place].querySelectorAll(`[data-twofa-lens=${what}]`).forEach((button) => button.click());
}

// What belongs to a rejection is out of the way until there is one.
function foldForm(form) {
  const box = form.querySelector(".twofa-if-rejected");
  const follow = () => { box.hidden = form.querySelector("[name=verdict]:checked")?.value !== "reject"; };
  form.addEventListener("change", follow);
  follow();
}

function fitLens(figure) {
  const frame = figure.querySelector(".twofa-frame");
  const sheet = figure.querySelector(".twofa-sheet");
  const image = figure.querySelector("img");
  const lens = { zoom: 1, turns: 0 };
  const acts = {
    larger: () => { lens.zoom = Math.min(lens.zoom * STEP, LARGEST); },
    smaller: () => { lens.zoom = Math.max(lens.zoom / STEP, 1); },
    turn: () => { lens.turns = (lens.turns + 1) % 4; },
  };
  figure.querySelector(".twofa-lens").hidden = false;
  for (const button of figure.querySelectorAll("[data-twofa-lens]")) {
    button.addEventListener("click", () => {
      acts[button.dataset.twofaLens]();
      lay(frame, sheet, image, lens);
    });
  }
  new ResizeObserver(() => lay(frame, sheet, image, lens)).observe(frame);
}

// The middle of what is seen stays in the middle. At rest the style sheet alone lays the picture out.
function lay(frame, sheet, image, lens) {
  const middle = {
    x: (frame.scrollLeft + frame.clientWidth / 2) / sheet.offsetWidth,
    y: (frame.scrollTop + frame.clientHeight / 2) / sheet.offsetHeight,
  };
  const isAtRest = lens.zoom === 1 && lens.turns === 0;
  sheet.classList.toggle("twofa-under-lens", !isAtRest);
  const width = Math.floor(frame.clientWidth * lens.zoom);
  const height = Math.floor(frame.clientHeight * lens.zoom);
  const isLying = lens.turns % 2 === 1;
  const sheetStyle = { width: `${width}px`, height: `${height}px` };
  const imageStyle = {
    width: `${isLying ? height : width}px`,
    height: `${isLying ? width : height}px`,
    transform: `translate(-50%, -50%) rotate(${lens.turns * 90}deg)`,
  };
  for (const [name, value] of Object.entries(sheetStyle)) sheet.style[name] = isAtRest ? "" : value;
  for (const [name, value] of Object.entries(imageStyle)) image.style[name] = isAtRest ? "" : value;
  frame.scrollLeft = middle.x * sheet.offsetWidth - frame.clientWidth / 2;
  frame.scrollTop = middle.y * sheet.offsetHeight - frame.clientHeight / 2;
}
