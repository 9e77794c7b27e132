// The preview follows what is typed. Without a script there is its button.
document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("[data-twofa-preview]");
  const shown = document.getElementById(form?.dataset.twofaPreview);
  if (!shown) return;
  let waiting = 0;
  let asked = 0;

  async function refresh() {
    const number = ++asked;
    const body = new URLSearchParams(new FormData(form));
    try {
      const answer = await fetch(location.href, { method: "POST", body, credentials: "same-origin" });
      if (!answer.ok || number !== asked) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById(shown.id);
      // An answer that another one has overtaken is not shown.
      if (fresh && number === asked) shown.replaceChildren(...fresh.childNodes);
    } catch {
      // The line is down: the last preview stays, and the button is there.
    }
  }

  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(refresh, 400);
  });
});
