/**
 * `sys/internal/explain/<request id>`: why a request was refused. Ours; Vault has none.
 *
 * Owns the path alone. What is told is denials.ts's.
 */

import { NOTHING, type PathSpec, path } from '../../declare.ts'
import type { Denials } from '../../denials.ts'
import { str } from '../../field.ts'
import * as shape from '../../shape.ts'

/** The path, on the memory of this server. */
export const explainPaths = (denials: Pick<Denials, 'explain'>): PathSpec[] => [
  path({
    pattern: 'internal/explain/{id}',
    help: {
      synopsis: 'Tells why a request was refused.',
      description:
        'Which rule of which policy decided, and the smallest rule that would have allowed it. Each ' +
        'server remembers the requests that it refused last.',
    },
    fields: { id: str('What the answer said in X-Request-Id.') },
    access: 'authorized',
    operations: {
      read: {
        summary: 'Tells why a request was refused.',
        answer: shape.object({
          request_id: shape.text,
          operation: shape.text,
          namespace: shape.text,
          path: shape.text,
          accessor: shape.text,
          display_name: shape.text,
          policies: shape.texts,
          reason: shape.text,
          rule: shape.object({ path: shape.text, policy: shape.text, line: shape.int }),
          parameter: shape.text,
          smallest_rule: shape.text,
        }),
        act({ fields: { id = '' } }) {
          const found = denials.explain(id)
          return found === undefined ? NOTHING : { data: { ...found } }
        },
      },
    },
  }),
]
