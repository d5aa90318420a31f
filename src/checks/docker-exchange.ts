/**
 * The words of the Docker Engine API that a check speaks, and what its answers mean.
 *
 * Owns where the engine is, the three requests of a run (create an exec, start it, inspect it), the
 * texts of failures, and the framing of the output stream. Pure.
 */

/** Where the engine listens, as node:http takes it. */
export type DockerHost =
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number; readonly basePath: string }

const DEFAULT_HOST = 'unix:///var/run/docker.sock'

/** Reads DOCKER_HOST; undefined where it says nothing that we speak. */
export function dockerHost(text: string): DockerHost | undefined {
  const url = URL.parse(text || DEFAULT_HOST)
  if (url?.protocol === 'unix:') return { socketPath: `${url.host}${url.pathname}` }
  const isTcp = url?.protocol === 'tcp:' || url?.protocol === 'http:'
  if (url === null || !isTcp || url.hostname === '') return undefined
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return { host, port: Number(url.port) || DEFAULT_PORT, basePath: url.pathname.replace(/\/$/, '') }
}

const DEFAULT_PORT = 2375

/** One request of a run. */
export interface DockerRequest {
  readonly step: 'create' | 'start' | 'inspect'
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body: object | undefined
}

/** Asks for a program to be made ready in a container. */
export const createExec = (container: string, words: readonly string[]): DockerRequest => ({
  step: 'create',
  method: 'POST',
  path: `/containers/${encodeURIComponent(container)}/exec`,
  body: { AttachStdin: false, AttachStdout: true, AttachStderr: true, Tty: false, Cmd: words },
})

/** Runs it; the answer is its output, and ends when it does. */
export const startExec = (exec: string): DockerRequest => ({
  step: 'start',
  method: 'POST',
  path: `/exec/${encodeURIComponent(exec)}/start`,
  body: { Detach: false, Tty: false },
})

/** Asks for its exit code. */
export const inspectExec = (exec: string): DockerRequest => ({
  step: 'inspect',
  method: 'GET',
  path: `/exec/${encodeURIComponent(exec)}/json`,
  body: undefined,
})

/** What a status of the engine that is no success means. */
export function dockerFault(
  step: DockerRequest['step'],
  container: string,
  statusCode: number,
  text: string,
): string {
  if (step === 'create' && statusCode === 404) {
    return `create exec failed for unknown container ${container}`
  }
  if (statusCode === 409) {
    return `${step} exec failed since container ${container} is paused or stopped`
  }
  return `${step} exec failed for container ${container} with status ${statusCode}: ${text}`
}

const HEADER_SIZE_BYTES = 8

/** Takes the frames of an output stream apart: what both streams said, in the order it came. */
export class DockerFrames {
  #header: Buffer = Buffer.alloc(0)
  #leftBytes = 0

  /** Hands on the payload of what came. */
  push(chunk: Buffer, payload: (bytes: Buffer) => void): void {
    let rest = chunk
    while (rest.length > 0) {
      if (this.#leftBytes > 0) {
        const part = rest.subarray(0, this.#leftBytes)
        this.#leftBytes -= part.length
        rest = rest.subarray(part.length)
        payload(part)
        continue
      }
      const missing = HEADER_SIZE_BYTES - this.#header.length
      this.#header = Buffer.concat([this.#header, rest.subarray(0, missing)])
      rest = rest.subarray(missing)
      if (this.#header.length < HEADER_SIZE_BYTES) return
      this.#leftBytes = this.#header.readUInt32BE(4)
      this.#header = Buffer.alloc(0)
    }
  }
}
