"use strict";
// The slider of two pictures: how much of the left one is seen.
for (const split of document.querySelectorAll(".split")) {
  const range = split.querySelector("input");
  const follow = () => split.style.setProperty("--at", range.value + "%");
  range.addEventListener("input", follow);
  follow();
}
// Which picture lies under the slider, on the right.
for (const box of document.querySelectorAll("[data-under]")) {
  box.addEventListener("change", () => {
    const split = document.getElementById(box.dataset.under);
    const from = box.dataset.from;
    split.querySelector(".under").src = document.getElementById(from).src;
    split.querySelector(".right").textContent = box.dataset.name;
  });
}
// Which quality the curves show.
for (const box of document.querySelectorAll("input[name=measure]")) {
  box.addEventListener("change", () => {
    for (const chart of document.querySelectorAll(".measure")) {
      chart.classList.toggle("on", chart.dataset.measure === box.value);
    }
  });
}
