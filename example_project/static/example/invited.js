/* The whole address of the link, as this browser reaches it; without this script the link itself can be copied. */
"use strict";
for (const field of document.querySelectorAll("input[data-of]")) {
  field.value = document.getElementById(field.dataset.of).href;
  field.addEventListener("focus", () => field.select());
}
