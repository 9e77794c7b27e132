// A second click must not send a form twice, and a key is there to be copied.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.classList.contains("twofa-once")) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
document.addEventListener("focusin", (event) => {
  if (event.target.id === "twofa-key") event.target.select();
});

document.addEventListener("DOMContentLoaded", () => {
  // Without a clipboard the button stays hidden, and the key is selected to be copied by hand.
  for (const button of document.querySelectorAll("[data-twofa-copy]")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      const key = document.getElementById(button.dataset.twofaCopy);
      try {
        await navigator.clipboard.writeText(key.value);
        button.textContent = button.dataset.twofaDone;
      } catch {
        key.select(); // The browser did not let us: it is ready to be copied by hand.
      }
    });
  }
  foldFilters(document.querySelector(".app-twofa #changelist-filter"));
});

const MANY = 12;

// On a phone the filters stand above the rows, so they are closed until they are wanted.
function foldFilters(filters) {
  const title = filters?.querySelector("h2");
  if (!title) return;
  // One that is longer than all others together is closed too, while nothing is chosen in it.
  for (const filter of filters.querySelectorAll("details[data-filter-title]")) {
    const choices = [...filter.querySelectorAll("li")];
    if (choices.length > MANY && choices[0].classList.contains("selected")) filter.open = false;
  }
  const phone = matchMedia("(max-width: 767px)");
  const box = document.createElement("details");
  const summary = document.createElement("summary");
  box.className = "twofa-fold";
  summary.append(title);
  box.append(summary, ...filters.childNodes);
  filters.append(box);
  const follow = () => { box.open = !phone.matches; };
  phone.addEventListener("change", follow);
  follow();
}
