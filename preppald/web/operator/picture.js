// One interview as bars: who spoke when, who waited, who was cut, and when Gemini was there.
const NS = "http://www.w3.org/2000/svg";
const ROW_MS = 600_000;
const [WIDTH, HEIGHT] = [600, 56];
const LANES = { link: 2, AI: 12, USER: 30, page: 48 };
const HEIGHTS = { link: 5, gap: 5, page: 5, away: 5 };
const NAMES = {
  AI: "Interviewer", USER: "Candidate", wait: "Waits", cut: "Cut in", link: "Connection to Gemini", gap: "Without Gemini",
  page: "The candidate's page", away: "Without a page",
};
// Thinner bars cannot be seen.
const THINNEST = 0.8;

function element(name, attributes, text) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// Returns a length in seconds as people write it.
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

// Returns every bar of a timeline: [kind, lane, from, to], in milliseconds since the interview began.
export function bars(it) {
  const found = [];
  for (const [stays, kind, gap] of [[it.connections, "link", "gap"], [it.browsers, "page", "away"]]) {
    stays.forEach((stay, index) => {
      found.push([kind, kind, stay.begin_ms, stay.end_ms ?? it.length_ms]);
      if (index) found.push([gap, kind, stays[index - 1].end_ms ?? stay.begin_ms, stay.begin_ms]);
    });
  }
  it.turns.forEach((turn, index) => {
    const following = it.turns[index + 1];
    found.push([turn.speaker, turn.speaker, turn.begin_ms, turn.end_ms]);
    if (turn.cut) found.push(["cut", turn.speaker, turn.end_ms, turn.end_ms]);
    if (turn.speaker === "USER" && following?.speaker === "AI" && following.begin_ms > turn.end_ms) {
      found.push(["wait", "USER", turn.end_ms, following.begin_ms]);
    }
  });
  return found;
}

// Returns a picture for each ten minutes of an interview.
export function picture(it) {
  const all = bars(it);
  const made = [];
  for (let start = 0; start < Math.max(it.length_ms, 1); start += ROW_MS) {
    const end = start + ROW_MS;
    const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT + 8}`, role: "img", "aria-label": `From ${span(start / 1000)} to ${span(Math.min(end, it.length_ms) / 1000)}` });
    for (let at = start; at < end; at += 60_000) {
      const x = (at - start) / 1000;
      svg.append(element("line", { x1: x, x2: x, y1: 0, y2: HEIGHT }), element("text", { x: x + 2, y: HEIGHT + 6 }, span(at / 1000)));
    }
    for (const [kind, lane, from, to] of all) {
      const [left, right] = [Math.max(from, start), Math.min(to, end)];
      if (right < left || left >= end) continue;
      const rect = element("rect", {
        class: kind, x: (left - start) / 1000, y: LANES[lane], rx: 1,
        width: Math.max((right - left) / 1000, THINNEST), height: HEIGHTS[kind] ?? 14,
      });
      rect.append(element("title", {}, `${NAMES[kind]} ${span(from / 1000)} to ${span(to / 1000)}`));
      svg.append(rect);
    }
    made.push(svg);
  }
  return made;
}
