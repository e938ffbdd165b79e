// Serves this folder's page, and passes all else on to `preppald demo`, which has the client and plays the backend:
//
//     preppald demo &
//     node examples/plain/serve.mjs            # then open http://127.0.0.1:5180/
//
// An application serves the page and the client's folder as it serves its other files.

import { readFile } from "node:fs/promises";
import { createServer, request } from "node:http";

const [port = "5180", demo = "http://127.0.0.1:8787"] = process.argv.slice(2);

const pass = (asked) => request(new URL(asked.url, demo), { method: asked.method, headers: asked.headers });

const server = createServer(async (asked, answer) => {
  if (asked.url.split("?")[0] === "/") {
    answer.setHeader("Content-Type", "text/html; charset=utf-8");
    answer.end(await readFile(new URL("index.html", import.meta.url)));
    return;
  }
  const passed = pass(asked);
  passed.on("response", (from) => from.pipe(answer.writeHead(from.statusCode, from.headers)));
  passed.on("error", () => answer.writeHead(502).end());
  asked.pipe(passed);
});

server.on("upgrade", (asked, page, early) => {
  const passed = pass(asked);
  passed.on("upgrade", (from, daemon, first) => {
    const head = from.rawHeaders.map((text, at) => (at % 2 ? `${text}\r\n` : `${text}: `)).join("");
    page.write(`HTTP/1.1 101 Switching Protocols\r\n${head}\r\n`);
    page.write(first);
    daemon.write(early);
    page.pipe(daemon).pipe(page);
    for (const side of [page, daemon]) side.on("error", () => [page, daemon].forEach((one) => one.destroy()));
  });
  passed.on("response", () => page.destroy());
  passed.on("error", () => page.destroy());
  passed.end();
});

server.listen(Number(port), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/`));
