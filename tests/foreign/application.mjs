// The application's tRPC router (Next.js, tRPC v11, superjson, zod), as preppald meets it: a program of its own
// on real @trpc/server. What it says of itself goes to stdout, one JSON object a line; the first names its port.
//
//   node application.mjs SECRET superjson|none [lean|full]
//
// full: it has getContext and submitFeedback, too, as the router has from commit 3a6a670 on.
//
// Interviews called "unknown…" do not exist. "fails-once…" answers 500 the first time, "hangs-once…" stores and
// never answers the first time. "deploys-once…" meets no application the first time, but its host's page.
import { createHTTPServer } from '@trpc/server/adapters/standalone';
import { initTRPC, TRPCError } from '@trpc/server';
import superjson from 'superjson';
import { z } from 'zod';

const [secret, transformer, extent = 'lean'] = process.argv.slice(2);
const tell = (said) => process.stdout.write(`${JSON.stringify(said)}\n`);

const t = initTRPC.context().create(transformer === 'superjson' ? { transformer: superjson } : {});

const worker = t.procedure.use(({ ctx, next }) => {
  if (ctx.authorization !== `Bearer ${secret}`) throw new TRPCError({ code: 'UNAUTHORIZED' });
  return next();
});

const tried = new Set();

/** What may go wrong with this interview; `stored` says whether it does so after the database has it. */
async function suffer(interviewId, stored) {
  const first = !tried.has(`${interviewId} ${stored}`);
  tried.add(`${interviewId} ${stored}`);
  if (!stored && interviewId.startsWith('unknown')) throw new TRPCError({ code: 'NOT_FOUND', message: 'Interview not found' });
  if (!stored && first && interviewId.startsWith('fails-once')) throw new Error('the database is away');
  if (stored && first && interviewId.startsWith('hangs-once')) await new Promise(() => {});
}

const mutation = (schema) => worker.input(schema);
const time = z.iso.datetime();

const optional = {
  getContext: worker.input(z.object({ interviewId: z.string() })).query(async ({ input }) => {
    await suffer(input.interviewId, false);
    tell({ procedure: 'getContext', input });
    return { jobDescription: 'Runs trains.', resume: null, persona: 'kind', durationMs: 25_000 };
  }),
  submitFeedback: mutation(
    z.object({
      interviewId: z.string(),
      summary: z.string(),
      strengths: z.string(),
      contentAndStructure: z.string(),
      communicationAndDelivery: z.string(),
      presentation: z.string(),
    }),
  ).mutation(async ({ input, ctx }) => {
    tell({ procedure: 'submitFeedback', input, key: ctx.key });
    return { success: true };
  }),
};

const appRouter = t.router({
  interview: t.router({
    ...(extent === 'full' ? optional : {}),
    updateStatus: mutation(
      z.object({
        interviewId: z.string(),
        status: z.enum(['IN_PROGRESS', 'COMPLETED', 'ERROR']),
        endedAt: time.optional(),
      }),
    ).mutation(async ({ input, ctx }) => {
      await suffer(input.interviewId, false);
      tell({ procedure: 'updateStatus', input, key: ctx.key });
      await suffer(input.interviewId, true);
      return { success: true };
    }),
    submitTranscript: mutation(
      z.object({
        interviewId: z.string(),
        transcript: z.array(
          z.object({ speaker: z.enum(['USER', 'AI']), content: z.string(), timestamp: time }),
        ),
        endedAt: time,
      }),
    ).mutation(async ({ input, ctx }) => {
      await suffer(input.interviewId, false);
      tell({ procedure: 'submitTranscript', input, key: ctx.key });
      await suffer(input.interviewId, true);
      return { success: true };
    }),
  }),
});

/** Before tRPC, as a host's router is while the application is being deployed. */
function deploy(req, res, next) {
  const interviewId = String(req.headers['idempotency-key']).split(':')[0];
  if (!interviewId.startsWith('deploys-once') || tried.has(`${interviewId} at all`)) return next();
  tried.add(`${interviewId} at all`);
  res.writeHead(404, { 'content-type': 'text/html' }).end('<!doctype html><title>404: NOT_FOUND</title>');
}

const server = createHTTPServer({
  middleware: deploy,
  router: appRouter,
  basePath: '/api/trpc/',
  createContext: ({ req }) => ({
    authorization: req.headers.authorization,
    key: req.headers['idempotency-key'],
  }),
});
server.listen(0, '127.0.0.1', () => tell({ port: server.address().port }));
