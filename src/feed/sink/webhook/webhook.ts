/**
 * The sink `webhook`: the state and what changed, posted as signed JSON.
 *
 * Owns the declaration and the body. How it is signed: sign.ts; how it is sent: target.run.ts.
 */
import { Refusal } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import { defineSink } from '../declare.ts'
import { digestOf } from '../digest.ts'
import { changeLines, changesBetween, documentOf, summaryOf } from '../document.ts'
import { webhookFields, webhookProblem } from './settings.ts'
import { WebhookTarget } from './target.run.ts'

/** What is posted. */
export interface WebhookWanted {
  readonly lines: readonly string[]
  readonly revision: number
  /** The body, but for what only the target knows: a JSON object without its beginning. */
  readonly json: string
}

export const webhookSink = defineSink({
  kind: 'webhook',
  summary: 'the state and what changed, posted as signed JSON to an address',
  isLocal: false,
  onEmpty: 'apply',
  fields: webhookFields,
  problemOf: webhookProblem,
  render({ use, body }, state) {
    const document = documentOf(state, use)
    const before = state.last === undefined ? undefined : documentOf(state.last, use)
    const changes = changesBetween(before, document)
    const json = JSON.stringify({
      Revision: state.revision,
      ...(body === 'changes' ? {} : { State: document }),
      ...(body === 'state' ? {} : { Changes: changes }),
    })
    if (Buffer.byteLength(json) > limits.sinkInputSizeBytes) {
      return new Refusal(413, `the state is larger than ${limits.sinkInputSizeBytes} bytes`)
    }
    const what: WebhookWanted = { lines: changeLines(changes), revision: state.revision, json }
    return { what, digest: digestOf(document), summary: summaryOf(state, use), problems: [] }
  },
  open: (settings, ports) => new WebhookTarget(settings, ports),
})
