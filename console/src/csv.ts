// Tables as files for a spreadsheet.

/** A CSV (RFC 4180). A text that a spreadsheet would take for a formula is quoted by an apostrophe. */
export function csv(rows: Array<Array<string | number>>): string {
  return rows.map((row) => row.map(cell).join(",") + "\r\n").join("");
}

/** Has the browser save a file. */
export function save(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

function cell(value: string | number): string {
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
