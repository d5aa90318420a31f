/**
 * `sys/remount`: moving what is mounted.
 *
 * Owns the paths; the order of a move stands in src/secrets/mount/remount.ts.
 */
import { Refusal } from '../../../base/errors.ts'
import { NOTHING, type PathSpec, path } from '../../declare.ts'
import { str } from '../../field.ts'
import { beginMove, moveNamed, placeShown } from '../../mount/remount.ts'
import { object, text } from '../../shape.ts'

/** The paths of moves. */
export const remountPaths = (): PathSpec[] => [beginPath, statusPath]

const beginPath = path({
  pattern: 'remount',
  help: {
    synopsis: 'Moves a mount to another path, also of another namespace.',
    description: 'All that it gave ends; what it keeps goes along.',
  },
  fields: { from: str('Where it is.'), to: str('Where it is to be.') },
  access: 'privileged',
  operations: {
    update: {
      summary: 'Moves a mount.',
      answer: object({ migration_id: text }),
      examples: [{ from: 'team/a', to: 'team/b' }],
      run({ draft, namespace, fields: { from = '', to = '' } }) {
        const begun = beginMove(draft, namespace, from, to)
        if (begun instanceof Refusal) return begun
        const { id, rest } = begun
        return {
          data: { migration_id: id },
          warnings: [QUEUED],
          ...(rest === undefined ? {} : { rest }),
        }
      },
    },
  },
})

const QUEUED =
  'Mount move has been queued. Progress is told by sys/remount/status with the returned migration_id'

const statusPath = path({
  pattern: 'remount/status/{migration_id}',
  help: {
    synopsis: 'Tells how far a move came.',
    description: 'Until a day after it is over.',
  },
  fields: { migration_id: str('What beginning the move gave.') },
  access: 'authorized',
  operations: {
    read: {
      summary: 'Tells how far a move came.',
      answer: object({
        migration_id: text,
        migration_info: object({ source_mount: text, target_mount: text, status: text }),
      }),
      run({ draft, fields: { migration_id: id = '' } }) {
        const move = moveNamed(draft, id)
        if (move === undefined) return NOTHING
        return {
          data: {
            migration_id: id,
            migration_info: {
              source_mount: placeShown(move.from),
              target_mount: placeShown(move.to),
              status: move.status,
            },
          },
        }
      },
    },
  },
})
