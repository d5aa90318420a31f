/** Which records a search finds. */
import t from 'tap'
import { recordOfAnswer } from '../../src/audit/record.ts'
import { type AuditSearch, fits } from '../../src/audit/search.ts'
import { wallMs } from '../../src/base/brand.ts'
import { JOURNAL_START, sealRecord } from '../../src/store/journal.ts'
import { caller, SERVER } from './support.ts'

const AT = 1_700_000_000_000
const record = sealRecord(
  recordOfAnswer(SERVER, caller({ id: 'abc', name: 'app/x' }), { status: 403, reason: 'no' }),
  JOURNAL_START,
  wallMs(AT),
)
const event = sealRecord(Buffer.from('{"event":"journal trimmed"}'), record, wallMs(AT))

const NOTHING: AuditSearch = {
  request: undefined,
  accessor: undefined,
  path: undefined,
  operation: undefined,
  outcome: undefined,
  fromMs: undefined,
  toMs: undefined,
}

const finding: readonly Partial<AuditSearch>[] = [
  {},
  { request: 'abc' },
  { accessor: 'anonymous' },
  { path: '/v1/kv/app/' },
  { path: '/v1/kv/app/x' },
  { operation: 'PUT /v1/kv/{key}' },
  { operation: 'put' },
  { outcome: 'refused' },
  { fromMs: AT, toMs: AT },
  { request: 'abc', outcome: 'refused', fromMs: AT - 1 },
]

const missing: readonly Partial<AuditSearch>[] = [
  { request: 'ab' },
  { accessor: '' },
  { path: 'app' },
  { operation: 'GET' },
  { operation: 'PU' },
  { outcome: 'written' },
  { fromMs: AT + 1 },
  { toMs: AT - 1 },
  { request: 'abc', outcome: 'written' },
]

t.test('every word must fit', async t => {
  for (const words of finding) t.ok(fits(record, { ...NOTHING, ...words }), JSON.stringify(words))
  for (const words of missing)
    t.notOk(fits(record, { ...NOTHING, ...words }), JSON.stringify(words))
})

t.test('what no request made is found by time alone', async t => {
  t.ok(fits(event, NOTHING))
  t.notOk(fits(event, { ...NOTHING, path: '' }))
  t.notOk(fits(event, { ...NOTHING, request: 'abc' }))
})
