// A terminal of 80 columns and 24 lines for a serial console: as much of a VT100 as a login shell, an editor and the
// messages of a starting system use. What leaves the screen at its top is kept, up to a limit.
const columns = 80;
const rows = 24;
const maximumHistory = 2_000;
const maximumSequence = 64;

export class Terminal {
  // `answer` is given what the terminal itself says (where its cursor is).
  constructor(answer) {
    this.answer = answer;
    this.decoder = new TextDecoder();
    this.history = [];
    this.reset();
  }

  reset() {
    this.screen = Array.from({ length: rows }, () => []);
    Object.assign(this, { row: 0, column: 0, top: 0, bottom: rows - 1, saved: [0, 0], state: "text", sequence: "",
      wraps: false });
  }

  // Octets from the line.
  write(octets) {
    for (const character of this.decoder.decode(octets, { stream: true })) this.take(character);
  }

  // The lines that are kept and those on the screen, as text; and where the cursor is among them.
  lines() {
    const text = (line) => Array.from(line, (character) => character ?? " ").join("");
    return { lines: [...this.history, ...this.screen].map(text), row: this.history.length + this.row,
      column: this.column };
  }

  take(character) {
    const code = character.codePointAt(0);
    if (this.state === "text" || code < 32 && code !== 27) {
      if (code < 32 || code === 127) this.control(code); else this.put(character);
    } else if (code === 27) this.begin("escape");
    else if (this.state === "escape") this.escape(character);
    else if (this.state === "charset") this.state = "text";
    else if (this.state === "title") this.state = code === 156 ? "text" : "title";
    else if (code >= 64 && code <= 126) { this.state = "text"; this.command(character); }
    else if (this.sequence.length < maximumSequence) this.sequence += character;
  }

  begin(state) { this.state = state; this.sequence = ""; }

  control(code) {
    if (code === 7 && this.state === "title") this.state = "text";
    if (this.state === "title") { if (code === 27) this.begin("escape"); return; }
    if (code === 8) this.column = Math.max(0, this.column - 1);
    else if (code === 9) this.column = Math.min(columns - 1, (this.column >> 3 << 3) + 8);
    else if (code >= 10 && code <= 12) this.feed();
    else if (code === 13) this.column = 0;
    else if (code === 24 || code === 26) this.state = "text";
    else if (code === 27) this.begin("escape");
    if (code !== 27) this.wraps = false;
  }

  put(character) {
    if (this.wraps) { this.column = 0; this.feed(); this.wraps = false; }
    this.screen[this.row][this.column] = character;
    if (this.column === columns - 1) this.wraps = true; else this.column += 1;
  }

  feed() {
    if (this.row === this.bottom) this.scroll(this.top, 1); else this.row = Math.min(rows - 1, this.row + 1);
  }

  // Lines from `from` to the bottom of the region move up; a negative count moves them down.
  scroll(from, count) {
    for (let index = 0; index < Math.min(Math.abs(count), rows); index += 1) {
      if (count < 0) {
        this.screen.splice(this.bottom, 1);
        this.screen.splice(from, 0, []);
      } else {
        const [gone] = this.screen.splice(from, 1);
        this.screen.splice(this.bottom, 0, []);
        if (from === 0) this.history.push(gone);
      }
    }
    if (this.history.length > maximumHistory) this.history.splice(0, this.history.length - maximumHistory);
  }

  escape(character) {
    this.state = "text";
    if (character === "[") this.begin("sequence");
    else if (character === "]" || character === "P" || character === "^" || character === "_") this.begin("title");
    else if (character === "(" || character === ")" || character === "#") this.state = "charset";
    else if (character === "7") this.saved = [this.row, this.column];
    else if (character === "8") [this.row, this.column] = this.saved;
    else if (character === "D") this.feed();
    else if (character === "E") { this.column = 0; this.feed(); }
    else if (character === "M") { if (this.row === this.top) this.scroll(this.top, -1); else this.move(-1, 0); }
    else if (character === "c") this.reset();
  }

  move(down, right) {
    this.row = Math.min(rows - 1, Math.max(0, this.row + down));
    this.column = Math.min(columns - 1, Math.max(0, this.column + right));
  }

  command(name) {
    this.wraps = false;
    const values = this.sequence.replace(/^[?>=]/, "").split(";").map((text) => parseInt(text, 10) || 0);
    const count = Math.min(Math.max(1, values[0]), columns * rows);
    const line = this.screen[this.row];
    if (name === "A") this.move(-count, 0);
    else if (name === "B" || name === "e") this.move(count, 0);
    else if (name === "C" || name === "a") this.move(0, count);
    else if (name === "D") this.move(0, -count);
    else if (name === "E") { this.column = 0; this.move(count, 0); }
    else if (name === "F") { this.column = 0; this.move(-count, 0); }
    else if (name === "G" || name === "`") { this.column = 0; this.move(0, count - 1); }
    else if (name === "d") { this.row = 0; this.move(count - 1, 0); }
    else if (name === "H" || name === "f") {
      [this.row, this.column] = [0, 0];
      this.move(count - 1, Math.max(1, values[1] ?? 1) - 1);
    } else if (name === "J") this.eraseScreen(values[0]);
    else if (name === "K") this.eraseLine(values[0]);
    else if (name === "P") line.splice(this.column, count);
    else if (name === "@") { line.length = Math.max(line.length, this.column); this.insert(line, count); }
    else if (name === "X") for (let at = this.column; at < Math.min(columns, this.column + count); at += 1) line[at] = " ";
    else if (name === "L") this.scroll(this.row, -count);
    else if (name === "M") this.scrollQuietly(count);
    else if (name === "r") this.region(values);
    else if (name === "s") this.saved = [this.row, this.column];
    else if (name === "u") [this.row, this.column] = this.saved;
    else if (name === "n" && values[0] === 6) this.answer(`\x1b[${this.row + 1};${this.column + 1}R`);
    else if (name === "n" && values[0] === 5) this.answer("\x1b[0n");
    else if (name === "c" && !this.sequence.startsWith(">")) this.answer("\x1b[?6c");
  }

  insert(line, count) {
    line.splice(this.column, 0, ...Array(Math.min(count, columns)).fill(" "));
    line.length = Math.min(line.length, columns);
  }

  // A deleted line is no history.
  scrollQuietly(count) {
    const kept = this.history.length;
    this.scroll(this.row, count);
    this.history.length = Math.min(this.history.length, kept);
  }

  region([first, last]) {
    const top = Math.max(1, first) - 1;
    const bottom = Math.min(rows, last || rows) - 1;
    if (top >= bottom) return;
    Object.assign(this, { top, bottom, row: 0, column: 0 });
  }

  eraseLine(how) {
    const line = this.screen[this.row];
    if (how === 0) line.length = Math.min(line.length, this.column);
    else if (how === 1) for (let at = 0; at <= this.column; at += 1) line[at] = " ";
    else this.screen[this.row] = [];
  }

  eraseScreen(how) {
    if (how === 3) { this.history = []; return; }
    const [from, to] = how === 0 ? [this.row + 1, rows] : how === 1 ? [0, this.row] : [0, rows];
    for (let row = from; row < to; row += 1) this.screen[row] = [];
    if (how < 2) this.eraseLine(how);
  }
}

const named = { Enter: "\r", Backspace: "\x7f", Tab: "\t", Escape: "\x1b", ArrowUp: "\x1b[A", ArrowDown: "\x1b[B",
  ArrowRight: "\x1b[C", ArrowLeft: "\x1b[D", Home: "\x1b[H", End: "\x1b[F", Delete: "\x1b[3~", Insert: "\x1b[2~",
  PageUp: "\x1b[5~", PageDown: "\x1b[6~", F1: "\x1bOP", F2: "\x1bOQ", F3: "\x1bOR", F4: "\x1bOS" };

// What a key sends; nothing for those that the browser keeps. Tab with Shift leaves the terminal, so that nobody who
// works by keyboard is caught in it.
export function keyText({ key, ctrlKey, altKey, metaKey, shiftKey }) {
  if (metaKey || key === "Tab" && shiftKey) return undefined;
  if (ctrlKey && !altKey) {
    if (shiftKey || key.length !== 1) return undefined;
    const code = key.toUpperCase().codePointAt(0);
    return key === " " ? "\0" : code >= 64 && code < 96 ? String.fromCharCode(code - 64) : undefined;
  }
  const text = named[key] ?? ([...key].length === 1 ? key : undefined);
  return text !== undefined && altKey && !ctrlKey ? `\x1b${text}` : text;
}
