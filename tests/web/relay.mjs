/** A network that can go away: everything between a browser and `origin` passes here. */

import { once } from "node:events";
import { connect, createServer } from "node:net";

/**
 * @param {string} origin http://host:port
 * @returns {Promise<{origin: string, freeze: () => void, thaw: () => void, close: () => void}>} freeze: nothing passes
 *   any more, and nobody is told, as in a tunnel; what waited passes when it thaws
 */
export async function relay(origin) {
  const { hostname, port } = new URL(origin);
  /** @type {Set<import("node:net").Socket>} */
  const sockets = new Set();
  let frozen = false;
  const server = createServer((browser) => {
    const daemon = connect(Number(port), hostname);
    for (const [from, to] of [[browser, daemon], [daemon, browser]]) {
      sockets.add(from);
      from.on("data", (data) => to.write(data));
      from.on("end", () => to.end());
      from.on("error", () => to.destroy());
      from.on("close", () => sockets.delete(from));
      if (frozen) from.pause();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    freeze() {
      frozen = true;
      for (const socket of sockets) socket.pause();
    },
    thaw() {
      frozen = false;
      for (const socket of sockets) socket.resume();
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
