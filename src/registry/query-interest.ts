/**
 * Prepared queries as agents follow them that have no store: by the name that was asked for.
 *
 * Owns which query's row that is. Its token stays with the servers: an agent is told that there is
 * one, and cannot execute the query by itself. Pure.
 */
import { toText } from '../base/bytes.ts'
import type { Interest, InterestKind } from '../store/replica/interest.ts'
import { fold, scope } from '../store/tables/names.ts'
import { type QueryRow, queries } from '../store/tables/query.ts'
import { HIDDEN_TOKEN } from './query.ts'
import { queryMeant } from './query-execute.ts'

/** The query that a name or an id means. */
export const queryInterest = (idOrName: string): Interest => ({
  kind: 'query',
  name: fold(idOrName),
})

/** Whether a query is executed with a token that an agent was not told. */
export const isWithheld = ({ token }: QueryRow): boolean => token === HIDDEN_TOKEN

const WHOLE = ''

/** What servers tell of queries. Whoever may ask may execute: the rows behind have their rights. */
export const queryKind: InterestKind = {
  kind: 'query',
  wakes: [scope.queries],
  isPersonal: false,
  parts: () => [WHOLE],
  rows(view, name) {
    const cell = queryMeant(view, toText(name))?.cell
    if (cell === undefined) return []
    const { row } = cell
    if (row.token === '') return [{ table: queries, cell }]
    return [{ table: queries, cell: { ...cell, row: { ...row, token: HIDDEN_TOKEN } } }]
  },
  *touched({ table }, _view, followed) {
    // Any query may be what any name means: there are few, and fewer that change.
    if ((table as unknown) !== queries) return
    for (const name of followed()) yield { name, part: WHOLE }
  },
  changedAt: (_view, scopes) => scopes.newest(scope.queries),
  marks: () => [],
  seesAll: () => true,
  seen: (_who, _name, _part, rows) => rows,
}
