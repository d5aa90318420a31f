/**
 * The DNS message format: what other folders may import of this one.
 *
 * Hot path: `readQuestion` a datagram, look its key up, `AnswerTemplate.write` or `writeBare`.
 * On a miss: `labelsOf(question.key)`, make the records, `buildTemplate` (or TemplateBuilder).
 * Elsewhere: `parseMessage` and `encodeMessage`.
 */
export * from './addresses.ts'
export * from './codes.ts'
export * from './messages.ts'
export {
  HEADER_SIZE_BYTES,
  labelsOf,
  lowerName,
  nameFromLabels,
  nameFromText,
  nameToText,
  ROOT,
} from './names.ts'
export * from './questions.ts'
export type { DnsRecord, Mx, RecordData, Soa, Srv } from './records.ts'
export * from './relay.ts'
export { Malformed, MESSAGE_SIZE_BYTES } from './sink.ts'
export {
  AnswerTemplate,
  type TemplateParts,
  type WriteOptions,
  writeBare,
  writeTruncated,
} from './template.ts'
export * from './template-builder.ts'
