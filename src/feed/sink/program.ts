/**
 * Programs of sinks: what their end means.
 *
 * Owns the texts. What a program prints is somebody else's: it is quoted bounded and in one line.
 */
import { formatDuration } from '../../base/duration.ts'
import type { SinkPorts, SinkProgram, SinkProgramEnd } from './declare.ts'

/** Runs it; why it failed, or undefined where it ended with 0. */
export async function faultOf(
  ports: Pick<SinkPorts, 'run'>,
  program: SinkProgram,
  signal: AbortSignal,
): Promise<string | undefined> {
  return faultOfEnd(program, await ports.run(program, signal))
}

/** The same of a program that has ended. */
export function faultOfEnd(program: SinkProgram, end: SinkProgramEnd): string | undefined {
  const [name = ''] = program.words
  switch (end.what) {
    case 'fault':
      return `${name}: ${end.text}`
    case 'timeout': {
      const time = formatDuration(program.timeoutMs)
      return `${name} took longer than ${time}${said(end.output)}`
    }
    case 'exit':
      if (end.code === 0) return undefined
      return `${name} ended ${codeText(end.code)}${said(end.output)}`
  }
}

const codeText = (code: number | undefined): string =>
  code === undefined ? 'by a signal' : `with ${code}`

/** What was printed, in one line, behind a colon. */
function said(output: string): string {
  const line = output
    .trim()
    .replaceAll(/\s*\n\s*/g, '; ')
    .replaceAll(/\p{Cc}/gu, '?')
  return line === '' ? '' : `: ${line}`
}
