// The preview follows what is typed, and so does what is said beside each text. Without a script there is its button.
document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("[data-twofa-preview]");
  const shown = document.getElementById(form?.dataset.twofaPreview);
  if (!shown) return;
  let waiting = 0;
  let asked = 0;

  // The answer has the same form: of it only what is wrong is taken, and what is being typed stays.
  function judge(page) {
    for (const field of form.querySelectorAll("textarea")) {
      const fresh = page.getElementById(field.id);
      const [here, there] = [field, fresh].map((one) => one.closest(".form-row"));
      here.className = there.className;
      for (const told of here.querySelectorAll(".errorlist")) told.remove();
      here.prepend(...there.querySelectorAll(".errorlist"));
      for (const name of ["aria-invalid", "aria-describedby"]) {
        if (fresh.hasAttribute(name)) field.setAttribute(name, fresh.getAttribute(name));
        else field.removeAttribute(name);
      }
    }
  }

  async function refresh() {
    const number = ++asked;
    const body = new URLSearchParams(new FormData(form));
    try {
      const answer = await fetch(location.href, { method: "POST", body, credentials: "same-origin" });
      if (!answer.ok || number !== asked) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById(shown.id);
      // An answer that another one has overtaken is not shown.
      if (fresh && number === asked) {
        shown.replaceChildren(...fresh.childNodes);
        judge(page);
      }
    } catch {
      // The line is down: the last preview stays, and the button is there.
    }
  }

  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(refresh, 400);
  });
});
