/**
 * Thousands of connections in one process: each sends a request, and then waits for its answer.
 *
 * Owns the clients of the watchers' bench. Looks at bytes only: an answer is there once as many
 * bytes came as the first whole one has, but for the id; a few are kept whole for the bench to look
 * at.
 */
import { connect, type Socket } from 'node:net'
import { answerParent } from './answers.ts'

/** What `wake` gives: times in milliseconds from the trigger, and samples of answers. */
export interface Wake {
  readonly medianMs: number
  readonly lastMs: number
  /** Of the monotonic clock that all processes share. */
  readonly fromMs: number
  readonly toMs: number
  readonly samples: readonly string[]
  /** Of every socket, in order. */
  readonly allMs: readonly number[]
}

interface Open {
  readonly port: number
  readonly count: number
}

const SAMPLES = 5
/** Ids are counted: those of later requests may be longer, and any answer may be read first. */
const ID_CHARS = 8
const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6

let sockets: Socket[] = []
let received: number[] = []
let kept: Buffer[][] = []
let doneAtMs: number[] = []
let wanted = Number.POSITIVE_INFINITY
let allDone = (): void => {}

async function open({ port, count }: Open): Promise<void> {
  sockets = []
  const BACKLOG = 200
  while (sockets.length < count) {
    const some = Array.from({ length: Math.min(BACKLOG, count - sockets.length) }, () =>
      connectOne(port),
    )
    sockets.push(...(await Promise.all(some)))
  }
  for (const [index, socket] of sockets.entries()) {
    socket.on('data', (chunk: Buffer) => onData(index, chunk))
  }
}

function connectOne(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    socket.once('error', reject)
    socket.once('connect', () => resolve(socket))
  })
}

function onData(index: number, chunk: Buffer): void {
  if (index < SAMPLES) kept[index]?.push(chunk)
  const before = received[index] ?? 0
  received[index] = before + chunk.length
  if (before === 0 && wanted === Number.POSITIVE_INFINITY) wanted = sizeOf(chunk) - ID_CHARS
  if (before < wanted && before + chunk.length >= wanted) {
    doneAtMs.push(nowMs())
    if (doneAtMs.length === sockets.length) allDone()
  }
}

/** The size of an HTTP answer, by its first piece. */
function sizeOf(chunk: Buffer): number {
  const text = chunk.toString('latin1')
  const end = text.indexOf('\r\n\r\n')
  const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, end + 2))?.[1]
  if (end === -1 || length === undefined) throw new Error('an answer without a length')
  return end + 4 + Number(length)
}

/** Sends the trigger on a connection of its own; resolves when every socket has its answer. */
async function wake(detail: { port: number; trigger: string; sizeBytes?: number }): Promise<Wake> {
  received = []
  kept = Array.from({ length: SAMPLES }, () => [])
  doneAtMs = []
  wanted = detail.sizeBytes ?? Number.POSITIVE_INFINITY
  const finished = new Promise<void>(resolve => {
    allDone = resolve
  })
  const trigger = await connectOne(detail.port)
  trigger.resume()
  const fromMs = nowMs()
  trigger.write(detail.trigger)
  await finished
  trigger.destroy()
  const times = doneAtMs.map(at => at - fromMs)
  return {
    medianMs: times[times.length >> 1] ?? 0,
    lastMs: times.at(-1) ?? 0,
    fromMs,
    toMs: nowMs(),
    samples: kept.map(pieces => Buffer.concat(pieces).toString()),
    allMs: times,
  }
}

answerParent({
  open,
  wake,
  /** How long an answer is, where it does not say so itself. */
  expect: (sizeBytes: number) => {
    wanted = sizeBytes
  },
  send: (text: string) => {
    for (const socket of sockets) socket.write(text)
  },
})
