/**
 * Reading a query as DNS answers it here.
 *
 * Owns that classes are not told apart, as Consul does not: all records are of class IN.
 */
import { ClassCode, type Question, readQuestion } from '../wire/dns/mod.ts'

const IN_BYTES = '\0\x01'

/** As `readQuestion`, with the key of the same question in class IN. */
export function readAnyClass(query: Buffer, into: Question): number {
  const rcode = readQuestion(query, into)
  if (into.classCode !== ClassCode.IN) into.key = into.key.slice(0, -2) + IN_BYTES
  return rcode
}
