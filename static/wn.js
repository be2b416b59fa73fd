// Small comforts over HTML forms and links that work without them. Nothing here is needed to do anything.
// Keyed by data- attributes; see README.md beside this file. No inline code, no injected style, no storage.

const HEADERS = { Accept: "text/html", "X-Requested-With": "fetch" };

// Fetch a page of ours and return its element `selector`; throws if the answer is not that page.
async function part(url, selector, options = {}) {
  const answer = await fetch(url, { credentials: "same-origin", ...options, headers: HEADERS });
  const elsewhere = new URL(answer.url).pathname !== new URL(url, location.href).pathname;
  if (!answer.ok || elsewhere) throw new Error(`unexpected answer ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const found = page.querySelector(selector);
  if (!found) throw new Error(`no ${selector} in the answer`);
  return found;
}

// Where the form goes. Not form.action: a button named "action" hides that property.
function target(form, button) {
  const address = button?.getAttribute("formaction") || form.getAttribute("action") || location.href;
  return new URL(address, location.href);
}

// Put the children of `fresh` into `old`, and its data- attributes too.
function swap(old, fresh) {
  old.replaceChildren(...fresh.childNodes);
  for (const name of Object.keys(old.dataset)) if (!(name in fresh.dataset)) delete old.dataset[name];
  Object.assign(old.dataset, fresh.dataset);
}

// <form method="get" data-live="#list">: the list follows the typing. Its data-count is said by [data-live-status].
function liveFilter(form) {
  const selector = form.dataset.live;
  const list = document.querySelector(selector);
  const status = document.querySelector("[data-live-status]");
  if (!list) return;
  let timer;
  let running;
  async function refresh() {
    running?.abort();
    running = new AbortController();
    const { signal } = running;
    const url = target(form);
    const wanted = [...new FormData(form)].filter(([, value]) => value !== "");
    url.search = new URLSearchParams(wanted);
    url.hash = "";
    try {
      const fresh = await part(url, selector, { signal });
      if (signal.aborted) return;
      swap(list, fresh);
      history.replaceState(null, "", url);
      if (status) status.textContent = list.dataset.count || "";
    } catch {
      // The list stays as it is; the form's own button still loads the page anew.
    }
  }
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(refresh, 250);
  });
  form.addEventListener("submit", () => {
    clearTimeout(timer);
    running?.abort();
  });
}

// <button name="action" value="preview" data-preview="#preview">: shows the server's preview in place.
function previewInPlace(button) {
  const selector = button.dataset.preview;
  const preview = document.querySelector(selector);
  if (!preview || !button.form) return;
  let busy = false;
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    const { form } = button;
    const body = new URLSearchParams(new FormData(form, button));
    try {
      const fresh = await part(target(form, button), selector, { method: "POST", body });
      swap(preview, fresh);
      preview.hidden = false;
      preview.tabIndex = -1;
      preview.focus();
    } catch {
      // Submitting by this button keeps its name and value, so nothing is saved by mistake.
      form.requestSubmit(button);
    } finally {
      busy = false;
    }
  });
}

// <form data-bulk="p">: checkboxes named p; [data-bulk-all] (hidden without script) ticks all of them;
// [data-bulk-count] says how many, in the words of its data-none, data-one and data-many (with %n).
function bulk(form) {
  const boxes = () => [...form.querySelectorAll(`input[type=checkbox][name="${CSS.escape(form.dataset.bulk)}"]`)];
  const all = form.querySelector("[data-bulk-all]");
  const count = form.querySelector("[data-bulk-count]");
  function say() {
    const every = boxes();
    const chosen = every.filter((box) => box.checked).length;
    if (all) {
      all.checked = chosen > 0 && chosen === every.length;
      all.indeterminate = chosen > 0 && chosen < every.length;
    }
    if (count) {
      const { none = "", one = "", many = "" } = count.dataset;
      count.textContent = chosen === 0 ? none : chosen === 1 ? one : many.replace("%n", chosen);
    }
  }
  form.addEventListener("change", (event) => {
    if (event.target === all) for (const box of boxes()) box.checked = all.checked;
    say();
  });
  all?.closest("[data-script]")?.removeAttribute("hidden");
  say();
}

// <div id="progress" data-poll="2000">: asks for itself until the server leaves data-poll out.
function poll(element) {
  const again = (wait) => setTimeout(tick, wait);
  async function tick() {
    if (document.hidden) return again(2000);
    try {
      swap(element, await part(location.href, `#${CSS.escape(element.id)}`));
      if (element.dataset.poll) again(Number(element.dataset.poll) || 2000);
    } catch {
      again(10000);
    }
  }
  again(Number(element.dataset.poll) || 2000);
}

// <button type="button" hidden data-copy="#link" data-done="Copied">: appears, copies the field's value, says so.
function copyButton(button) {
  const field = document.querySelector(button.dataset.copy);
  const label = button.querySelector(".kern-label");
  if (!field || !label || !navigator.clipboard) return;
  const words = label.textContent;
  const status = document.createElement("span");
  status.className = "kern-sr-only";
  status.setAttribute("role", "status");
  button.after(status);
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(field.value ?? field.textContent);
    } catch {
      field.focus();
      field.select?.();
      return;
    }
    label.textContent = status.textContent = button.dataset.done;
    setTimeout(() => {
      label.textContent = words;
      status.textContent = "";
    }, 4000);
  });
}

const BEHAVIOURS = {
  "form[data-live]": liveFilter,
  "button[data-preview]": previewInPlace,
  "form[data-bulk]": bulk,
  "[data-poll][id]": poll,
  "button[data-copy]": copyButton,
};
for (const [selector, start] of Object.entries(BEHAVIOURS)) document.querySelectorAll(selector).forEach(start);
