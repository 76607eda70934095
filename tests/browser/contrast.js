// For each text that is shown: how much it stands out from what is behind it, and the text itself.

function luminance([red, green, blue]) {
  const linear = (value) => (value <= 0.04045 * 255 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

function channels(color) {
  const [red, green, blue, alpha = 1] = color.match(/[\d.]+/g).map(Number);
  return { color: [red, green, blue], alpha };
}

function behind(element) {
  const box = element.closest("g.box");
  if (box && element.localName !== "g") return channels(getComputedStyle(box.querySelector("rect")).fill).color;
  for (let above = element; above; above = above.parentElement) {
    const { color, alpha } = channels(getComputedStyle(above).backgroundColor);
    if (alpha === 1) return color;
  }
  return [255, 255, 255];
}

function contrasts() {
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const text = texts.currentNode.data.trim();
    if (!text || !element.checkVisibility() || element.getClientRects().length === 0) continue;
    const style = getComputedStyle(element);
    const front = channels(element.closest("svg") ? style.fill : style.color).color;
    const [one, other] = [luminance(front), luminance(behind(element))];
    found.push([(Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05), text.slice(0, 60)]);
  }
  return found;
}

globalThis.contrasts = contrasts; // for the test that runs this
