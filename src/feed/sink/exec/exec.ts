/**
 * The sink `exec`: a program that reads the state and what changed as JSON on its standard input.
 *
 * Owns the declaration and what the program reads. It is run by its words, never by a shell, and
 * only where the configuration of the machine names it.
 */
import { Refusal } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import { defineSink } from '../declare.ts'
import { digestOf } from '../digest.ts'
import { changesBetween, documentOf, summaryOf } from '../document.ts'
import { ExecTarget } from './target.run.ts'

/** What the program is to know. */
export interface ExecWanted {
  readonly changes: ReturnType<typeof changesBetween>
  /** All that is said, but for what only the target knows: a JSON object without its end. */
  readonly json: string
}

export const execSink = defineSink({
  kind: 'exec',
  summary: 'a program that reads the state and what changed as JSON on its standard input',
  isLocal: true,
  onEmpty: 'apply',
  fields: {
    command: {
      type: 'texts',
      help: 'the program and its words; never run by a shell',
      isRequired: true,
      isLocal: true,
    },
    timeout: {
      type: 'duration',
      help: 'it is ended, with all that it started, when it takes longer',
      byDefault: limits.sinkProgramTimeoutMs,
      minMs: 10,
    },
  },
  problemOf: ({ command }) => (command.length === 0 ? 'command: names no program' : undefined),
  render({ use }, state) {
    const least = use
    const document = documentOf(state, least)
    const before = state.last === undefined ? undefined : documentOf(state.last, least)
    const changes = changesBetween(before, document)
    const json = JSON.stringify({ Revision: state.revision, State: document, Changes: changes })
    if (Buffer.byteLength(json) > limits.sinkInputSizeBytes) {
      return new Refusal(413, `the state is larger than ${limits.sinkInputSizeBytes} bytes`)
    }
    const what: ExecWanted = { changes, json }
    return { what, digest: digestOf(document), summary: summaryOf(state, least), problems: [] }
  },
  open: (settings, ports) => new ExecTarget(settings, ports),
})
