/**
 * One run of a Docker check: a program is made, run and asked for its exit code, by three requests
 * to the engine.
 *
 * Owns its connections, which are gone when the run is over, however it ended. Where the engine is
 * comes from this agent's own environment, never from a definition. A program that is still running
 * when the time is over is left to the engine, which has no request that ends it.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { messageOf } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { CheckStatus } from '../store/tables/check.ts'
import type { CheckResult, Run, RunRequest, RunTools } from './define.ts'
import {
  createExec,
  DockerFrames,
  type DockerHost,
  type DockerRequest,
  dockerFault,
  dockerHost,
  inspectExec,
  startExec,
} from './docker-exchange.ts'
import { faultText } from './fault.ts'
import { type ProgramEnd, type ProgramOutput, programResult } from './program.ts'
import { Tail } from './tail.ts'

/** Starts a run; see StartRun. */
export function runDocker(
  request: RunRequest,
  tools: RunTools,
  report: (result: CheckResult) => void,
): Run {
  const run = new DockerRun(request, report)
  run.start(dockerHost(tools.dockerHost))
  return run
}

class DockerRun implements Run {
  readonly #asked: RunRequest
  readonly #report: (result: CheckResult) => void
  readonly #output: Tail
  #host: DockerHost | undefined
  #sent: ClientRequest | undefined
  #isOver = false

  constructor(asked: RunRequest, report: (result: CheckResult) => void) {
    this.#asked = asked
    this.#report = report
    this.#output = new Tail(asked.outputMaxSizeBytes)
  }

  start(host: DockerHost | undefined): void {
    if (host === undefined) {
      this.#fail('unable to parse docker host')
      return
    }
    this.#host = host
    const { scriptArgs = [] } = this.#asked.definition
    this.#ask(createExec(this.#container, scriptArgs), 201, text => {
      const { Id: exec } = JSON.parse(text) as { Id?: string }
      this.#run(exec ?? '')
    })
  }

  end(why: 'timeout' | 'stopped'): void {
    if (why === 'stopped') this.#close()
    else this.#judge({ what: 'timeout', output: this.#said })
  }

  get #container(): string {
    return this.#asked.definition.dockerContainerId ?? ''
  }

  get #said(): ProgramOutput {
    const { seenBytes, keptBytes } = this.#output
    return { text: this.#output.text(), seenBytes, keptBytes }
  }

  #judge(end: ProgramEnd): void {
    this.#finish(programResult(end, this.#asked.timeoutMs))
  }

  #run(exec: string): void {
    const frames = new DockerFrames()
    const request = startExec(exec)
    this.#send(request, answer => {
      if (answer.statusCode !== 200) {
        this.#read(request, answer, text => this.#refused(request, answer, text))
        return
      }
      answer.on('data', (chunk: Buffer) => frames.push(chunk, part => this.#output.push(part)))
      // Engines may reset the connection once all is said: the exit code is what counts.
      answer.on('error', () => {})
      answer.on('close', () => this.#inspect(exec))
    })
  }

  #inspect(exec: string): void {
    if (this.#isOver) return
    this.#ask(inspectExec(exec), 200, text => {
      const { ExitCode: code } = JSON.parse(text) as { ExitCode?: number | null }
      this.#judge({ what: 'exit', code: code ?? undefined, output: this.#said })
    })
  }

  /** A request whose answer is a small JSON text. */
  #ask(request: DockerRequest, wanted: number, read: (text: string) => void): void {
    this.#send(request, answer =>
      this.#read(request, answer, text => {
        if (answer.statusCode !== wanted) this.#refused(request, answer, text)
        else this.#parse(request, text, read)
      }),
    )
  }

  #parse({ step }: DockerRequest, text: string, read: (text: string) => void): void {
    try {
      read(text)
    } catch {
      this.#fail(`${step} exec response for container ${this.#container} cannot be parsed`)
    }
  }

  #refused({ step }: DockerRequest, { statusCode = 0 }: IncomingMessage, text: string): void {
    this.#fail(dockerFault(step, this.#container, statusCode, text))
  }

  #read(request: DockerRequest, answer: IncomingMessage, done: (text: string) => void): void {
    const text = new Tail(limits.checkDockerAnswerSizeBytes)
    answer.on('data', (chunk: Buffer) => text.push(chunk))
    answer.on('error', error => this.#failed(request, error))
    answer.on('end', () => {
      if (!this.#isOver) done(text.text())
    })
  }

  #send(request: DockerRequest, received: (answer: IncomingMessage) => void): void {
    const { method, path, body } = request
    const host = this.#host!
    const text = body === undefined ? '' : JSON.stringify(body)
    const basePath = 'basePath' in host ? host.basePath : ''
    const sent = httpRequest({
      ...host,
      method,
      path: basePath + path,
      agent: false,
      headers: {
        host: 'docker',
        ...(text === '' ? {} : { 'content-type': 'application/json' }),
        'content-length': Buffer.byteLength(text),
      },
    })
    this.#sent = sent
    sent.on('response', received)
    sent.on('error', error => this.#sent === sent && this.#failed(request, error))
    sent.end(text)
  }

  #failed({ step }: DockerRequest, error: unknown): void {
    const why = 'socketPath' in this.#host! ? messageOf(error) : faultText(error)
    this.#fail(`${step} exec failed for container ${this.#container}: ${why}`)
  }

  #fail(output: string): void {
    this.#finish({ status: CheckStatus.critical, output })
  }

  #finish(result: CheckResult): void {
    if (this.#isOver) return
    this.#close()
    this.#report(result)
  }

  #close(): void {
    this.#isOver = true
    const sent = this.#sent
    this.#sent = undefined
    sent?.destroy()
  }
}
