// Looks at pages in Chromium: `node look.cjs BROWSER MODULES JOBS`, where JOBS is a JSON file with
// [{name, file, scheme, width, height, picture}]. Prints what was seen of each, as JSON.
const fs = require("fs");
const path = require("path");
const [browserPath, modules, jobsFile] = process.argv.slice(2);
const { chromium } = require(path.join(modules, "playwright-core"));
const axe = fs.readFileSync(path.join(modules, "axe-core", "axe.min.js"), "utf8");

async function drawn(browser, job) {
  // As a visitor has it: no script, the page's own policy in force.
  const context = await browser.newContext({
    javaScriptEnabled: false, colorScheme: job.scheme, viewport: { width: job.width, height: job.height },
  });
  const page = await context.newPage();
  const complaints = [], requests = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => requests.push(request.url()));
  await page.goto(`file://${job.file}`);
  await page.screenshot({ path: job.picture, fullPage: true });
  await context.close();
  return { complaints, requests: requests.slice(1) };
}

async function judged(browser, job) {
  const context = await browser.newContext({
    bypassCSP: true, colorScheme: job.scheme, viewport: { width: job.width, height: job.height },
  });
  const page = await context.newPage();
  const dialogs = [];
  page.on("dialog", (dialog) => { dialogs.push(dialog.message()); dialog.dismiss(); });
  await page.goto(`file://${job.file}`);
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => axe.run({ resultTypes: ["violations"] }));
  const seen = await page.evaluate(() => ({
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    scripts: document.scripts.length,
    ground: getComputedStyle(document.body).backgroundColor,
    headings: [...document.querySelectorAll("h1, h2, h3")].map((one) => one.tagName),
    unlabelled: [...document.querySelectorAll("td")].filter((cell) => {
      const row = cell.parentElement.querySelector("th[scope=row]");
      const head = cell.closest("table").querySelector("thead th[scope=col]");
      return !row || !head;
    }).length,
  }));
  const focused = [];
  for (let count = 0; count < 60; count++) {
    await page.keyboard.press("Tab");
    const one = await page.evaluate(() => {
      const here = document.activeElement;
      if (here === document.body) return null;
      const style = getComputedStyle(here);
      return { tag: here.tagName, label: here.getAttribute("aria-label"), outline: style.outlineStyle };
    });
    if (one === null) break;
    focused.push(one);
  }
  const fix = page.locator("pre code").first();
  let copied = null;
  if (await fix.count()) {
    await fix.click();
    copied = await page.evaluate(() => String(getSelection()));
  }
  await context.close();
  const broken = violations.map((one) => ({
    id: one.id, help: one.help, nodes: one.nodes.map((node) => node.html).slice(0, 3),
  }));
  return { violations: broken, rules: passes.length, dialogs, focused, copied, ...seen };
}

(async () => {
  const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox"] });
  const found = {};
  for (const job of JSON.parse(fs.readFileSync(jobsFile, "utf8"))) {
    found[job.name] = { ...(await drawn(browser, job)), ...(await judged(browser, job)) };
  }
  await browser.close();
  process.stdout.write(JSON.stringify(found));
})();
