import { useEffect, useState, type FormEvent } from "react";
import { AudioError, InterviewClient, explain, type InterviewState } from "preppal-client";
import { useInterview, useLevels, useSecondsLeft, type StartOptions } from "preppal-client/react";

const STATUS: Record<InterviewState, string> = {
  idle: "",
  connecting: "Calling the interviewer…",
  ready: "The interviewer is about to begin.",
  listening: "Your turn. Take your time.",
  speaking: "The interviewer is speaking.",
  reconnecting: "The connection was lost. Reconnecting…",
  ended: "The interview has ended.",
};

/** Your backend, which signs the token; after a reload the interview that was going on. */
async function findInterview(): Promise<StartOptions> {
  const [kept] = InterviewClient.kept();
  if (kept !== undefined) return kept;
  const answer = await fetch("/demo/interview", { method: "POST" });
  const { token, wsUrl } = (await answer.json()) as { token: string; wsUrl: string };
  return { url: wsUrl, token };
}

/** `?now` begins when the page is there, without a click or a microphone. */
const AT_ONCE = new URLSearchParams(location.search).has("now");

export function Interview() {
  const interview = useInterview({ remember: true });
  const [problem, setProblem] = useState("");
  const { client, state, ended, start } = interview;

  const begin = async (microphone: boolean) => {
    setProblem("");
    try {
      await start(findInterview, microphone);
    } catch (reason) {
      setProblem(explain(reason instanceof AudioError ? reason.kind : "unreachable"));
    }
  };
  // StrictMode runs this twice: the second start is the first one's.
  useEffect(() => {
    if (AT_ONCE) void begin(false);
  }, []);
  // A telephone call takes the sound away, and only a gesture may bring it back.
  useEffect(() => {
    const wake = () => void client.resume();
    addEventListener("pointerdown", wake);
    addEventListener("keydown", wake);
    return () => {
      removeEventListener("pointerdown", wake);
      removeEventListener("keydown", wake);
    };
  }, [client]);

  return (
    <main>
      <h1>Mock interview</h1>
      {state === "idle" && <button onClick={() => void begin(true)}>Start the interview</button>}
      <p role="status">{ended?.words ?? STATUS[state]}</p>
      {state !== "idle" && state !== "ended" && <Controls interview={interview} />}
      {ended !== null && <button onClick={interview.renew}>Another interview</button>}
      <ul role="alert">
        {problem !== "" && <li>{problem}</li>}
        {interview.troubles.map((kind) => (
          <li key={kind}>{explain(kind)}</li>
        ))}
      </ul>
      <ol>
        {interview.turns.map((turn) => (
          <li key={turn.id}>
            {turn.speaker === "AI" ? "Interviewer" : "You"}: {turn.text}
            {turn.cut && " — (you cut in)"}
          </li>
        ))}
      </ol>
    </main>
  );
}

function Controls({ interview }: { interview: ReturnType<typeof useInterview> }) {
  const { client, muted, holding, canHold, canSendText, setMuted, hold, sendText, textRefused, end } = interview;
  const [text, setText] = useState("");
  const send = (event: FormEvent) => {
    event.preventDefault();
    if (sendText(text)) setText("");
  };
  return (
    <>
      <Clock client={client} />
      <Meter client={client} />
      <button onClick={() => setMuted(!muted)}>{muted ? "Unmute" : "Mute"}</button>
      {canHold && <button onClick={() => hold(!holding)}>{holding ? "Go on" : "Pause"}</button>}
      <button onClick={end}>End</button>
      {canSendText && (
        <form onSubmit={send}>
          <label>
            Or write your answer: <input value={text} onChange={(event) => setText(event.target.value)} />
          </label>
          <button>Send</button>
          {textRefused !== null && <p role="alert">{textRefused.words}</p>}
        </form>
      )}
    </>
  );
}

function Clock({ client }: { client: InterviewClient }) {
  const seconds = useSecondsLeft(client);
  return seconds === null ? null : <p role="timer">{Math.ceil(seconds / 60)} min left</p>;
}

function Meter({ client }: { client: InterviewClient }) {
  const { microphone } = useLevels(client);
  return <meter value={microphone} aria-label="Your microphone" />;
}
