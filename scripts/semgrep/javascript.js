// What the rules of javascript.yaml find, and what they leave alone; never run.
// ruleid: script-markup
element.innerHTML = text;
// ruleid: script-markup
element.insertAdjacentHTML("beforeend", text);
// ok: script-markup
element.textContent = text;
// ruleid: script-from-text
eval(text);
// ok: script-from-text
JSON.parse(text);
// ruleid: script-message-to-anybody
window.postMessage(message, "*");
