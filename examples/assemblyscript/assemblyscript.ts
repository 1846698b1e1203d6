// Words of a text, counted: strings, a map, classes, and the console, whose strings are in this program's memory.

class Count {
  constructor(readonly word: string, public times: i32) {}
}

const text = "the quick brown fox jumps over the lazy dog, the dog sleeps: naïve, 日本語, 🦊 and the fox";

function words(line: string): string[] {
  const found: string[] = [];
  let word = "";
  for (let i = 0; i < line.length; i++) {
    const unit = line.charCodeAt(i);
    if (unit == 32 || unit == 44 || unit == 58) {
      if (word.length > 0) found.push(word);
      word = "";
    } else {
      word += String.fromCharCode(unit);
    }
  }
  if (word.length > 0) found.push(word);
  return found;
}

const counts = new Map<string, Count>();
const all = words(text);
for (let i = 0; i < all.length; i++) {
  const word = all[i];
  if (counts.has(word)) counts.get(word).times++;
  else counts.set(word, new Count(word, 1));
}
const sorted = counts.values().sort((a, b) => (a.times != b.times ? b.times - a.times : a.word < b.word ? -1 : 1));
for (let i = 0; i < sorted.length; i++) console.log(sorted[i].times.toString() + " " + sorted[i].word);

const start = Date.now();
const random = Math.random();
console.log(random >= 0 && random < 1 && start > 1_700_000_000_000 ? "clock and random numbers: yes" : "no");
console.log("half of a pair: " + "🦊".charAt(0) + " and a long line: " + "é".repeat(40_000).length.toString());
console.log("é".repeat(70_000).slice(0, 69_990) == "é".repeat(69_990) ? "equal" : "different");
