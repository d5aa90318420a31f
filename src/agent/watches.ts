/**
 * Watches of the configuration at work: each looks at its answer, sleeps until that may have
 * changed, and tells its handler when it has.
 *
 * Owns when a handler is called: at the first look, and whenever the content differs; never twice
 * at a time for one watch. Asks the declared paths as the HTTP face does, without HTTP. What a
 * handler does is its own affair; one that fails is told in the log and called at the next change.
 */
import type { Clock, Random } from '../base/clock.ts'
import { messageOf, Refusal } from '../base/errors.ts'
import { startChild } from '../base/io/child.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Timeout, Timeouts } from '../base/timeouts.ts'
import { type Authority, ownCall, type Who } from '../base/who.ts'
import type { Run, RunTools } from '../checks/define.ts'
import { runHttp } from '../checks/http.run.ts'
import type { Asking, PathDeclaration, Reading } from '../http/declare.ts'
import { readOpenPart } from '../http/path.ts'
import { parseQuery, type readParameters } from '../http/query.ts'
import { AnswerCache } from '../http/render.ts'
import { type Asked, type Asker, Consistency, Departure } from '../store/ask.ts'
import { CheckStatus } from '../store/tables/check.ts'
import type { AgentTokens } from './publishers.ts'
import type { Watch, WatchHandler } from './watch-definition.ts'

export interface WatchPorts {
  readonly asker: Asker
  readonly timeouts: Timeouts
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly paths: readonly PathDeclaration[]
  /** Whose rights watches look with. */
  readonly tokens: AgentTokens
  readonly authority: Pick<Authority, 'watch'>
  /** How handlers reach others, and which variables programs see. */
  readonly tools: RunTools
}

/** All watches of an agent. */
export class Watches {
  readonly #ports: WatchPorts
  #running: readonly RunningWatch[] = []

  constructor(ports: WatchPorts) {
    this.#ports = ports
  }

  /** Starts these watches instead of those that run. */
  configure(watches: readonly Watch[]): void {
    this.stop()
    this.#running = watches.map(watch => new RunningWatch(watch, this.#ports))
    for (const watch of this.#running) watch.look()
  }

  /** Stops all of them, and the handlers that are at work. */
  stop(): void {
    for (const watch of this.#running) watch.stop()
    this.#running = []
  }
}

/** The agent asks itself. */
const LOOPBACK = '127.0.0.1'

/** What a handler is told: the content, and the index that it was read at. */
interface Told {
  readonly text: string
  readonly index: string
}

class RunningWatch {
  readonly #watch: Watch
  readonly #ports: WatchPorts
  readonly #answers = new AnswerCache()
  #departure = new Departure()
  #isStopped = false
  #index = 0
  #failures = 0
  /** The content that was told last; undefined before the first. */
  #shown: string | undefined
  /** The id of the newest event that was told. */
  #lastEvent = ''
  #retry: Timeout | undefined
  #endHandler: (() => void) | undefined
  #unwatch = (): void => {}
  /** Those that it looked with last. */
  #rights = ''

  constructor(watch: Watch, ports: WatchPorts) {
    this.#watch = watch
    this.#ports = ports
  }

  stop(): void {
    this.#isStopped = true
    this.#retry?.cancel()
    this.#leave()
    this.#endHandler?.()
  }

  /** Waits no more. */
  #leave(): void {
    this.#unwatch()
    this.#departure.leave()
  }

  /** Asks; goes on by itself until it is stopped. */
  look(): void {
    if (this.#isStopped) return
    const who = this.#who()
    const asking = who instanceof Refusal ? who : this.#asking(who)
    if (who instanceof Refusal || asking instanceof Refusal) {
      this.#later((asking as Refusal).text)
      return
    }
    // With other rights it may see something else, although nothing was written.
    if (who.rights !== this.#rights) this.#index = 0
    this.#rights = who.rights
    this.#departure = new Departure()
    this.#unwatch = this.#ports.authority.watch(who, () => this.#leave())
    const waitMs = limits.queryWaitMaxMs
    const options = { consistency: Consistency.default, index: this.#index, waitMs }
    this.#ports.asker.ask(asking.question, options, this.#departure, {
      answer: asked => {
        this.#unwatch()
        const now = this.#who()
        // Time went by: what it may not see any more is not told.
        if (now instanceof Refusal || now.rights !== who.rights) this.look()
        else void this.#answered(asking, asked, who)
      },
      fail: error => {
        this.#unwatch()
        this.#later(messageOf(error))
      },
    })
  }

  #who(): Who | Refusal {
    const { tokens } = this.#ports
    const { token } = this.#watch
    return token === '' ? tokens.whoOf('default') : tokens.authenticate(token)
  }

  /** The question of the declared path, as a request would make it. */
  #asking(who: Who): Asking | Refusal {
    const { path, part, query: raw } = this.#watch
    const operation = this.#ports.paths.find(each => each.path === path)?.operations.GET
    if (operation === undefined || !('ask' in operation)) return new Refusal(501, 'not served yet')
    const reading = operation as Reading<typeof readParameters>
    const prefix = path.replace(/\{.*$/, '')
    const open = readOpenPart(prefix + part, prefix, true)
    if (open instanceof Refusal) return open
    const query = parseQuery(raw, reading.query)
    if (query instanceof Refusal) return query
    const { name, bytes } = open
    return reading.ask({
      name,
      bytes,
      query,
      who: ownCall(who, path),
      sourceIp: () => LOOPBACK,
      forwarder: undefined,
    })
  }

  async #answered(asking: Asking, asked: Asked, who: Who): Promise<void> {
    if (this.#isStopped) return
    try {
      const told = await this.#toldOf(asking, asked, who)
      this.#index = asked.index
      this.#failures = 0
      if (told !== undefined) await this.#tell(told)
    } catch (error) {
      this.#later(messageOf(error))
      return
    }
    // In a turn of its own: a handler that changes what it watches must not hold the loop.
    this.#retry = this.#ports.timeouts.after(0, () => this.look())
  }

  /** What the handler is to be told of an answer; undefined when that is nothing new. */
  async #toldOf(asking: Asking, asked: Asked, { rights }: Who): Promise<Told | undefined> {
    const { chunks, status } = await this.#answers.answer(asking, asked, rights, false)
    const body = Buffer.concat(chunks).toString('utf8')
    const text = status === 200 ? this.#viewOf(body) : 'null'
    if (text === undefined || text === this.#shown) return undefined
    this.#shown = text
    return { text, index: String(asking.ownIndex?.(asked.view) ?? asked.index) }
  }

  #viewOf(body: string): string | undefined {
    switch (this.#watch.view) {
      case 'all':
        return body
      case 'first':
        // The one item of a list: parsed, its 64-bit numbers would lose digits.
        return body.replace(/^\[(.*)\]$/s, '$1') || 'null'
      case 'new':
        return this.#newEvents(body)
    }
  }

  #newEvents(body: string): string | undefined {
    const events = JSON.parse(body) as readonly { readonly ID: string }[]
    const fresh = events.slice(events.findLastIndex(({ ID }) => ID === this.#lastEvent) + 1)
    this.#lastEvent = events.at(-1)?.ID ?? this.#lastEvent
    return fresh.length === 0 ? undefined : JSON.stringify(fresh)
  }

  async #tell(told: Told): Promise<void> {
    const { handler, type, where } = this.#watch
    const fault = await this.#handle(handler, told)
    if (fault !== undefined && !this.#isStopped) {
      this.#ports.log.warn('a watch handler failed', { type, where, fault })
    }
  }

  /** Calls the handler and waits for it; gives what went wrong. */
  async #handle(handler: WatchHandler, told: Told): Promise<string | undefined> {
    try {
      return handler.kind === 'program'
        ? await this.#runProgram(handler.words, told)
        : await this.#post(handler, told)
    } catch (error) {
      return messageOf(error)
    } finally {
      this.#endHandler = undefined
    }
  }

  async #runProgram(words: readonly string[], { text, index }: Told): Promise<string | undefined> {
    const environment = { ...this.#ports.tools.environment, CONSUL_INDEX: index }
    const { log } = this.#ports
    const { type } = this.#watch
    const child = await startChild(words, {
      environment,
      stdin: Buffer.from(`${text}\n`),
      output: said => log.debug('a watch handler said', { type, sizeBytes: said.length }),
    })
    this.#endHandler = () => child.signal('SIGTERM')
    if (this.#isStopped) child.signal('SIGTERM')
    const { code, signal } = await child.ended
    if (code === 0) return undefined
    return code === undefined ? `ended by ${signal}` : `exit status ${code}`
  }

  #post(
    handler: Extract<WatchHandler, { kind: 'http' }>,
    { text, index }: Told,
  ): Promise<string | undefined> {
    const { url, method, timeoutMs, skipsVerify } = handler
    const header = {
      'Content-Type': ['application/json'],
      ...handler.headers,
      'X-Consul-Index': [index],
    }
    const definition = { http: url, method, header, body: text, tlsSkipVerify: skipsVerify }
    const { timeouts, tools } = this.#ports
    return new Promise(resolve => {
      let run: Run | undefined
      const timeout = timeouts.after(timeoutMs, () => run?.end('timeout'))
      this.#endHandler = () => {
        timeout.cancel()
        run?.end('stopped')
        resolve('stopped')
      }
      const request = { definition, timeoutMs, outputMaxSizeBytes: limits.watchFaultSizeBytes }
      run = runHttp(request, tools, ({ status, output }) => {
        timeout.cancel()
        resolve(status === CheckStatus.passing ? undefined : output)
      })
    })
  }

  /** Looks again after a while, longer each time that it fails. */
  #later(fault: string): void {
    if (this.#isStopped) return
    const { log, timeouts, random } = this.#ports
    const { type, where } = this.#watch
    const delayMs = Math.min(limits.watchRetryMs * (++this.#failures) ** 2, limits.watchRetryMaxMs)
    log.warn('a watch cannot look', { type, where, fault, retryMs: delayMs })
    const JITTER = 1 / 16
    const spreadMs = delayMs * (1 + random.fraction() * JITTER)
    this.#retry = timeouts.after(spreadMs, () => this.look())
  }
}
