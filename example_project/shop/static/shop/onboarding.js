// The onboarding page: preview, progress, and what staff decide meanwhile. Without this file its forms are plain forms.
const place = document.getElementById("onboarding");
const says = document.getElementById("says");
const MOST = 10 * 1024 * 1024;
const parse = (html) => new DOMParser().parseFromString(html, "text/html");
const size = (bytes) => bytes < 1e6
  ? `${Math.max(1, Math.round(bytes / 1e3))} kB`
  : `${(bytes / 1e6).toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 })} MB`;
// Of camera and folder a phone shows both; where there is a mouse, the camera's is not there.
const fieldOf = (form) => [...form.querySelectorAll("input[type=file]")].find((input) => input.checkVisibility());
const chosenIn = (root) => [...root.querySelectorAll("input[type=file]")].find((input) => input.files.length);

document.documentElement.classList.add("scripted");

function complain(form, text) {
  const wrong = form.querySelector(".wrong");
  wrong.textContent = text;
  wrong.hidden = !text;
  for (const input of form.querySelectorAll("input[type=file]")) {
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }
  if (text) says.textContent = text;
}

// The same limits as the server's, told before anything is sent.
function trouble(input) {
  const file = input.files[0];
  if (file.size > MOST) return place.dataset.tooLarge;
  return file.type && !input.accept.split(",").includes(file.type) ? place.dataset.wrongType : "";
}

function show(form, file) {
  const preview = form.querySelector(".preview");
  const picture = preview.querySelector("img");
  if (picture.src) URL.revokeObjectURL(picture.src);
  picture.removeAttribute("src");
  picture.hidden = !file?.type.startsWith("image/");
  if (file && !picture.hidden) {
    picture.src = URL.createObjectURL(file);
    picture.alt = place.dataset.preview;
    // What this browser cannot draw the server may still read, or say why not.
    picture.onerror = () => {
      picture.hidden = true;
    };
  }
  preview.querySelector("figcaption").textContent = file ? `${file.name} · ${size(file.size)}` : "";
  preview.hidden = !file;
  form.classList.toggle("has-file", Boolean(file));
}

function choose(form, input) {
  // One file at a time, from the camera or from a folder.
  for (const other of form.querySelectorAll("input[type=file]")) if (other !== input) other.value = "";
  if (!input.files.length) {
    complain(form, "");
    return show(form, null);
  }
  const why = trouble(input);
  complain(form, why);
  if (why) input.value = "";
  show(form, why ? null : input.files[0]);
  if (!why) form.querySelector("button.primary").focus();
}

function watch(form, request) {
  const sending = form.querySelector(".sending");
  const [label, bar] = [sending.querySelector("label"), sending.querySelector("progress")];
  bar.value = 0;
  label.textContent = says.textContent = `${place.dataset.sending} 0 %`;
  sending.hidden = false;
  request.upload.onprogress = ({ loaded, total }) => {
    bar.value = Math.floor((loaded / total) * 100);
    label.textContent = `${place.dataset.sending} ${bar.value} %`;
  };
  request.upload.onload = () => {
    bar.removeAttribute("value");
    label.textContent = says.textContent = place.dataset.checking;
  };
  return () => {
    sending.hidden = true;
  };
}

// The request is the one that the form would make, and the answer the page that it would lead to.
function send(form) {
  const request = new XMLHttpRequest();
  const input = chosenIn(form);
  const body = new FormData(form);
  body.delete("file");
  body.append("file", input.files[0]);
  form.dataset.sent = "1";
  const button = form.querySelector("button.primary");
  button.setAttribute("aria-disabled", "true");
  complain(form, "");
  const done = watch(form, request);
  request.onloadend = () => {
    done();
    delete form.dataset.sent;
    button.removeAttribute("aria-disabled");
    const page = request.status === 200 ? parse(request.responseText) : null;
    if (page?.getElementById("onboarding")) return arrive(form, page);
    // Signed out, or somebody else by now: that page says so itself.
    if (page && request.responseURL !== form.action) return location.assign(request.responseURL);
    complain(form, place.dataset.lost);
    input.focus();
  };
  request.open("POST", form.action);
  request.send(body);
}

function arrive(form, page) {
  const step = form.closest("li");
  const fresh = page.getElementById(step.id);
  if (fresh && fresh.dataset.mark === step.dataset.mark) {
    // Not accepted: what was chosen stays, and beside it is said why.
    const wrong = fresh.querySelector(".wrong")?.textContent;
    const told = page.querySelector("#notice p:nth-of-type(2)")?.textContent;
    complain(form, (wrong || told || place.dataset.lost).trim());
    return fieldOf(form)?.focus();
  }
  chosenIn(form).value = "";
  renew(page);
  const next = place.querySelector("[data-todo] details");
  if (next) next.open = true;
  (next?.querySelector("summary") ?? place.querySelector("#afterwards a"))?.focus();
  document.getElementById("notice")?.remove();
}

// What has something new to say is replaced; what holds a file that was chosen, or is being sent, is left alone.
function renew(page) {
  const news = [];
  for (const fresh of page.querySelectorAll(".steps > li")) {
    const old = document.getElementById(fresh.id);
    if (!old || old.dataset.mark === fresh.dataset.mark || chosenIn(old) || old.querySelector("[data-sent]")) continue;
    const details = fresh.querySelector("details");
    const held = old.contains(document.activeElement);
    details.open = old.querySelector("details").open || (details.open && !place.querySelector("details[open]"));
    old.replaceWith(fresh);
    if (held) details.querySelector("summary").focus();
    news.push(`${fresh.querySelector(".name").textContent}: ${fresh.querySelector(".state").textContent}`);
  }
  for (const id of ["standing", "afterwards"]) {
    const [old, fresh] = [document.getElementById(id), page.getElementById(id)];
    if (!fresh || old.innerHTML === fresh.innerHTML) continue;
    if (id === "standing") news.push(fresh.querySelector("h1").textContent);
    old.replaceWith(fresh);
  }
  if (news.length) says.textContent = news.join(". ");
}

async function look() {
  try {
    const answer = await fetch(place.dataset.status, { headers: { Accept: "text/html" }, redirect: "error" });
    if (answer.ok) renew(parse(await answer.text()));
  } catch {
    // No answer this time. The next look may find one.
  }
}

// As often as the programme says that it is worth it, and only while somebody sees the page.
async function follow() {
  for (;;) {
    const seconds = Number(document.getElementById("standing").dataset.after) || 30;
    await new Promise((resume) => setTimeout(resume, seconds * 1000));
    if (!document.hidden && document.getElementById("standing").dataset.after) await look();
  }
}

place.addEventListener("change", ({ target }) => {
  if (target.matches("input[type=file]")) choose(target.form, target);
});
place.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  if (form.dataset.sent) return;
  if (chosenIn(form)) send(form);
  else fieldOf(form)?.focus();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && document.getElementById("standing").dataset.after) look();
});
follow();
