// Everything works without this file. With it, times tick, the message's state follows, and a form is sent once.
const minutes = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
const stopwatch = () => {
  const began = performance.now();
  return () => Math.floor((performance.now() - began) / 1000);
};

// The server's clock is in its own zone; a visitor's is in theirs.
function localise(root) {
  const language = document.documentElement.lang;
  const whole = new Intl.DateTimeFormat(language, { dateStyle: "short", timeStyle: "short" });
  const hour = new Intl.DateTimeFormat(language, { timeStyle: "short" });
  const today = new Date().toDateString();
  for (const time of root.querySelectorAll("main time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!time.closest("#messages")) time.textContent = (at.toDateString() === today ? hour : whole).format(at);
  }
}

// The ticking is for eyes. Who listens hears twice: when a minute is left, and at the end.
function countDown(clock) {
  const total = Number(clock.dataset.countdown);
  const shown = clock.querySelector(".ticking");
  const says = document.getElementById("clock-says");
  const passed = stopwatch();
  const timer = setInterval(() => {
    const left = total - passed();
    if (left <= 0) {
      clearInterval(timer);
      clock.textContent = clock.dataset.over;
      says.textContent = clock.dataset.over;
    } else {
      shown.textContent = minutes(left);
      if (left === 60) says.textContent = clock.dataset.soon;
    }
  }, 1000);
}

function holdBack(button) {
  const total = Number(button.dataset.wait);
  const note = button.form.querySelector("[data-waiting]");
  const passed = stopwatch();
  button.setAttribute("aria-disabled", "true");
  const timer = setInterval(() => {
    const left = total - passed();
    if (left > 0) {
      note.querySelector(".ticking").textContent = minutes(left);
    } else {
      clearInterval(timer);
      button.removeAttribute("aria-disabled");
      note.hidden = true;
    }
  }, 1000);
}

// The clock of a token starts when it is handed over. It comes into the page, and the page stays: to load it anew would
// lose what somebody, or the phone itself, types at that moment. One without a clock says something else: it is loaded.
async function bringClock() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const clock = page.querySelector(".token-form .clock");
  if (clock) {
    document.querySelector(".token-form button").before(clock, page.getElementById("clock-says"));
    localise(document);
    countDown(clock);
  } else if (!document.getElementById("token")?.value) {
    location.reload();
  }
}

// What becomes of the message. Only that part of the page is replaced: what is being typed stays. Where somebody else
// has to type it the page waits until they did, and shows what came of it.
async function follow(place) {
  const part = place.querySelector("#delivery");
  const waits = "untilChanged" in place.dataset;
  if (!part || !(waits || "travelling" in part.dataset)) return;
  await new Promise((resume) => setTimeout(resume, waits ? 5000 : 2000));
  if (!document.hidden) {
    try {
      const answer = await fetch(place.dataset.poll, { headers: { Accept: "text/html" }, redirect: "error" });
      const fresh = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("delivery");
      if (fresh && fresh.innerHTML !== part.innerHTML) part.replaceWith(fresh);
      if (waits && fresh && "changed" in fresh.dataset) return location.reload();
      if (!waits && fresh && !("travelling" in fresh.dataset)) return await bringClock();
    } catch {
      // No answer this time. The next look may find one.
    }
  }
  return follow(place);
}

// A time is typed as the visitor's own clock shows it: so the form says where that clock is.
const zone = document.querySelector("[data-zone]");
const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && here) {
  zone.value = here;
  document.querySelector("[data-zone-name]").textContent = here.replaceAll("_", " ");
}

for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", (event) => {
    if (event.submitter?.getAttribute("aria-disabled") === "true" || form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "1";
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
  });
}
// Back from another page, in the state in which this one was left.
addEventListener("pageshow", (event) => event.persisted && location.reload());

localise(document);
document.querySelectorAll("[data-countdown]").forEach(countDown);
document.querySelectorAll("[data-wait]").forEach(holdBack);
document.querySelectorAll("[data-poll]").forEach(follow);
// Where a field waits to be typed into the cursor is there already, and the notice is read out with it.
if (!document.querySelector("[autofocus]")) document.querySelector("[data-focus]")?.focus();
const later = document.querySelector("[data-reload]");
if (later) setTimeout(() => location.reload(), Number(later.dataset.reload) * 1000);

// Codes that are shown once: onto paper, or into a password manager.
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const items = document.getElementById(button.dataset.copy).querySelectorAll("li");
    await navigator.clipboard.writeText([...items].map((item) => item.textContent.trim()).join("\n"));
    button.textContent = button.dataset.copied;
  });
}
