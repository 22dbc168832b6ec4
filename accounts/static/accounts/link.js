"use strict";

// The token of the mail, which stands behind the # and is taken out of the address and of the browser's history.
const fragment = location.hash.slice(1);
const token = decoded(fragment);
history.replaceState(null, "", location.pathname);

// what is said stands in the page, in its language
const said = document.getElementById("said");
const first = document.querySelector("form");
const withAccount = document.getElementById("with-account");
const withoutToken = document.getElementById("without-token");

function say(words, isWrong = false) {
  said.textContent = words;
  said.classList.toggle("wrong", isWrong);
  said.hidden = false;
}

/** What a mail program may have encoded; nothing for what is half of it. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/** What a problem (RFC 9457) says, with what it says of each field. */
function words(problem) {
  const errors = (problem.errors || []).map((error) => error.detail);
  return errors.length ? errors.join("\n") : problem.detail || said.dataset.failed;
}

async function post(address, body, access = "") {
  const headers = { "Content-Type": "application/json" };
  if (access) headers.Authorization = `Bearer ${access}`;
  // no cookie: a session of the admin in this browser is not who follows the link
  const answer = await fetch(address, { method: "POST", headers, body: JSON.stringify(body), credentials: "omit" });
  const text = await answer.text();
  const content = text && (answer.headers.get("Content-Type") || "").includes("json") ? JSON.parse(text) : {};
  if (!answer.ok) throw Object.assign(new Error(words(content)), { code: content.code });
  return content;
}

async function send(form) {
  const values = Object.fromEntries(new FormData(form));
  if (!form.dataset.login) return post(form.dataset.address, token ? { token, ...values } : values);
  const pair = await post(form.dataset.login, values);
  try {
    return await post(form.dataset.address, { token }, pair.access);
  } finally {
    // what came of joining is what counts: nobody else has these tokens, and this page forgets them
    await post(form.dataset.logout, { refresh: pair.refresh }).catch(() => {});
  }
}

async function submit(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    await send(form);
    form.hidden = true;
    say(form.dataset.done);
  } catch (error) {
    if (error.code === "account_exists" && withAccount) {
      form.hidden = true;
      withAccount.hidden = false;
      said.hidden = true;
    } else {
      say(error.message, true);
    }
  } finally {
    button.disabled = false;
  }
}

for (const form of document.querySelectorAll("form")) form.addEventListener("submit", submit);
if (token) {
  first.hidden = false;
} else {
  if (withoutToken) withoutToken.hidden = false;
  // whoever came without any link has not lost a part of one
  if (fragment || !withoutToken) say(said.dataset.notWhole, true);
}
