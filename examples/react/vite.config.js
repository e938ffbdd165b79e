// `preppald demo` is the interviews' server, and plays the application's backend.
const demo = process.env.PREPPALD ?? "http://127.0.0.1:8787";
const proxy = { "/demo": demo, "/ready": demo, "/ws": { target: demo.replace("http", "ws"), ws: true } };

export default { server: { proxy }, preview: { proxy } };
