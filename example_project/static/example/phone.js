// Looks for new messages every two seconds, while the page is seen and not paused.
const pause = document.getElementById("pause");
let paused = false;

async function refresh() {
  if (paused || document.hidden) return;
  let answer;
  try {
    answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  } catch {
    return; // the server restarts: the next look will find it
  }
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("messages");
  const list = document.getElementById("messages");
  const newest = (node) => node.querySelector(".message")?.dataset.key;
  if (newest(fresh) !== newest(list)) list.replaceChildren(...fresh.children);
}

pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = paused ? pause.dataset.resume : pause.dataset.pause;
});
setInterval(refresh, 2000);
