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
