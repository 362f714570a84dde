/** Has the browser save a file. */
export function save(file: Blob, name: string) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  // Some browsers read the file only after this returns.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
