// Conveniences of the documentation: theme, copy buttons, tabs, search and the menu of narrow screens. Every page can be
// read without this script. It creates elements and never parses HTML, because the policy of the pages forbids that.

const root = document.documentElement;
const THEME = 'postrider.theme'; // the console has the same choice
const TAB = 'postrider.docs.language';
const MAX_RESULTS = 20;

const stored = (key) => {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
};
const store = (key, value) => {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // A browser that keeps nothing shows the page all the same.
  }
};
const applyTheme = (theme) => {
  if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
  else delete root.dataset.theme;
};
// Before the page is drawn, so that it does not flash.
applyTheme(stored(THEME));
root.classList.add('ready');

const element = (name, properties = {}, ...children) => {
  const created = Object.assign(document.createElement(name), properties);
  created.append(...children);
  return created;
};

function addThemeSelect() {
  const select = element('select', { id: 'theme' });
  for (const [value, text] of [['', 'System'], ['light', 'Light'], ['dark', 'Dark']]) {
    select.append(element('option', { value, selected: (stored(THEME) ?? '') === value }, text));
  }
  select.addEventListener('change', () => {
    store(THEME, select.value || null);
    applyTheme(select.value);
  });
  document.getElementById('pages').append(element('label', { className: 'theme', htmlFor: 'theme' }, 'Theme ', select));
}

function addCopyButtons() {
  for (const pre of document.querySelectorAll('pre')) {
    const button = element('button', { type: 'button', className: 'copy' }, 'Copy');
    button.addEventListener('click', async () => {
      try {
        await navigator.clipboard.writeText(pre.textContent.trimEnd());
        button.textContent = 'Copied';
      } catch {
        button.textContent = 'Select the text to copy it';
      }
      setTimeout(() => (button.textContent = 'Copy'), 2000);
    });
    const frame = element('div', { className: 'code' });
    pre.replaceWith(frame);
    frame.append(pre, button);
  }
}

/** Lets the keyboard scroll tables that are wider than their column. */
function focusWideTables() {
  for (const table of document.querySelectorAll('table')) {
    if (table.scrollWidth > table.clientWidth) table.tabIndex = 0;
  }
}

/** Makes tabs of the sections of each group. The choice holds for all groups and pages. */
function addTabs() {
  const groups = [...document.querySelectorAll('.tabs')].map((group) => {
    const panels = [...group.querySelectorAll(':scope > .panel')];
    const list = element('div', { className: 'tablist', role: 'tablist', ariaLabel: 'Language' });
    const tabs = panels.map((panel) => {
      const heading = panel.querySelector('h3');
      const tab = element('button', { type: 'button', role: 'tab', id: `tab-${heading.id}` }, heading.firstChild.textContent.trim());
      panel.setAttribute('role', 'tabpanel');
      panel.setAttribute('aria-labelledby', tab.id);
      tab.addEventListener('click', () => choose(heading.id));
      tab.addEventListener('keydown', (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        tabs.at((tabs.indexOf(tab) + step) % tabs.length).focus();
        document.activeElement.click();
      });
      list.append(tab);
      return tab;
    });
    group.prepend(list);
    return { panels, tabs, ids: panels.map((panel) => panel.querySelector('h3').id) };
  });
  function show(id) {
    for (const { panels, tabs, ids } of groups) {
      const index = ids.indexOf(id);
      if (index < 0) continue;
      panels.forEach((panel, other) => (panel.hidden = other !== index));
      tabs.forEach((tab, other) => {
        tab.setAttribute('aria-selected', String(other === index));
        tab.tabIndex = other === index ? 0 : -1;
      });
    }
  }
  function choose(id) {
    store(TAB, id);
    show(id);
    history.replaceState(null, '', `#${id}`);
  }
  /** Shows the panel that contains the target of the address. */
  function showTarget() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const panel = target?.closest('.panel');
    if (!panel) return;
    show(panel.querySelector('h3').id);
    target.scrollIntoView();
  }
  for (const { ids } of groups) show(ids.includes(stored(TAB)) ? stored(TAB) : ids[0]);
  if (groups.length > 0) {
    showTarget();
    addEventListener('hashchange', showTarget);
  }
}

/** Finds sections that contain every word. Headings count most, then titles of pages, then the begin of the text. */
function find(sections, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [];
  const rate = ({ h, p, x = '', w = '' }) => {
    let sum = 0;
    for (const word of words) {
      const found = [[h, 8], [p, 4], [x, 2], [w, 1]].find(([text]) => text.toLowerCase().includes(word));
      if (!found) return 0;
      sum += found[1];
    }
    return sum + (h.toLowerCase().startsWith(words[0]) ? 4 : 0);
  };
  const rated = sections.map((section) => [rate(section), section]).filter(([points]) => points > 0);
  // Sorting is stable: equally good sections stay in the order of the pages.
  return rated.sort(([one], [other]) => other - one).map(([, section]) => section);
}

function addSearch(tools) {
  const input = element('input', { type: 'search', placeholder: 'Search the docs', ariaLabel: 'Search the docs', autocomplete: 'off' });
  const results = element('ol');
  const count = element('p', { className: 'count', role: 'status' });
  const dialog = element('dialog', { ariaLabel: 'Search' }, input, results, count);
  document.body.append(dialog);
  let sections = null;
  const load = async () => {
    sections ??= fetch('/docs/search.json').then((response) => response.json());
    try {
      return await sections;
    } catch {
      sections = null;
      count.textContent = 'The search index could not be loaded.';
      return [];
    }
  };
  const update = async () => {
    const found = find(await load(), input.value);
    const shown = found.slice(0, MAX_RESULTS).map(({ u, p, s, h, x = '' }) => {
      const place = s ? `${p} · ${s}` : p;
      return element('li', {}, element('a', { href: u, onclick: () => dialog.close() }, element('b', {}, h), element('span', {}, x ? `${place} – ${x}` : place)));
    });
    results.replaceChildren(...shown);
    const more = found.length > MAX_RESULTS ? `, the best ${MAX_RESULTS} are shown` : '';
    if (input.value.trim() === '') count.textContent = 'Type a word, such as signature, 409 or retry.';
    else if (sections) count.textContent = found.length === 1 ? '1 section found' : `${found.length} sections found${more}`;
  };
  const open = () => {
    dialog.showModal();
    input.select();
    update();
  };
  input.addEventListener('input', update);
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') results.querySelector('a')?.click();
  });
  dialog.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') {
      // Chromium would empty the field first.
      event.preventDefault();
      dialog.close();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const stops = [input, ...results.querySelectorAll('a')];
    stops[Math.max(0, Math.min(stops.length - 1, stops.indexOf(document.activeElement) + step))].focus();
  });
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });
  addEventListener('keydown', (event) => {
    const isTyping = ['INPUT', 'SELECT', 'TEXTAREA'].includes(event.target.tagName);
    const isShortcut = event.key === '/' ? !isTyping : event.key === 'k' && (event.ctrlKey || event.metaKey);
    if (!isShortcut || dialog.open) return;
    event.preventDefault();
    open();
  });
  const button = element('button', { type: 'button', className: 'find' }, 'Search', element('kbd', { ariaHidden: 'true' }, '/'));
  button.addEventListener('click', open);
  tools.append(button);
}

function addMenu(tools) {
  const pages = document.getElementById('pages');
  const button = element('button', { type: 'button', className: 'menu', ariaExpanded: 'false' }, 'Pages');
  button.setAttribute('aria-controls', 'pages');
  button.addEventListener('click', () => {
    button.ariaExpanded = String(pages.classList.toggle('open'));
  });
  tools.append(button);
}

addEventListener('DOMContentLoaded', () => {
  const tools = document.querySelector('.tools');
  addSearch(tools);
  addThemeSelect();
  addMenu(tools);
  addCopyButtons();
  addTabs();
  focusWideTables();
});
