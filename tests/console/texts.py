"""The texts of a page, and which of them no catalogue has, as the pseudo-locale shows."""

import re
from collections.abc import Iterable

# Keeps every text that the API sends, as a page shows those as they are.
KEEP_DATA = """
const data = (window.apiData = new Set());
const keep = (value) => {
  if (typeof value === "string") data.add(value);
  else if (value && typeof value === "object")
    for (const [name, each] of Object.entries(value)) {
      if (/[._]/.test(name)) data.add(name);
      keep(each);
    }
};
const plain = window.fetch;
window.fetch = async (...request) => {
  const response = await plain(...request);
  if (response.headers.get("content-type")?.includes("json")) keep(await response.clone().json());
  return response;
};
"""
DATA = "[...window.apiData]"
# What is seen and heard of a page, in pieces.
TEXTS = """() => {
  const found = [document.title];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode())
    if (!node.parentElement.closest("script, style")) found.push(node.data);
  for (const name of ["aria-label", "placeholder", "title", "alt"])
    for (const node of document.querySelectorAll(`[${name}]:not([aria-hidden])`)) found.push(node.getAttribute(name));
  const inputs = "input:not([type=hidden], [type=radio], [type=checkbox])";
  for (const node of document.querySelectorAll(inputs)) found.push(node.value);
  return found;
}"""
# Names that are the same in every language, besides those in capital letters.
_NAMES = {"hashiramart", "gateway", "postgresql", "mlflow", "chrome", "linux"}
# The pseudo-locale has none of these letters.
_WORD = re.compile(r"[a-z]{3,}")
_CODE = re.compile(r"\b[A-Z_]{2,}\b")
_RPC_OR_SERVICE = re.compile(r"(?:[\w.]+[./])?[A-Z]\w+|[a-z]+")


def untranslated(texts: Iterable[str], data: Iterable[str]) -> set[str]:
    """The texts with words that neither the pseudo-locale nor the API has.

    texts: what is seen and heard of a page
    data: the texts that the API sent
    """
    parts = (re.split("[./]", each)[-1] for each in data if _RPC_OR_SERVICE.fullmatch(each))
    names = _NAMES | {word.lower() for part in parts for word in re.findall("[A-Z]?[a-z]+", part)}
    longest_first = sorted((each for each in data if len(each) > 1), key=len, reverse=True)
    # A short one such as "to" is no part of a longer word.
    known = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first)) or '(?!)'})(?!\w)", re.IGNORECASE)
    return {text for text in texts if not names.issuperset(_WORD.findall(_CODE.sub("", known.sub("", text)).lower()))}
