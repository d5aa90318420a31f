/**
 * `/debug/pprof/`: what `enable_debug`, or a right, opens for those who look into a running agent.
 *
 * Owns which profiles there are: the CPU's, in pprof's own form. Profiles of Go's runtime do not
 * exist here, and snapshots of the heap are never taken, since secrets would be in them.
 */

import { refuse } from '../../base/denied.ts'
import { Refusal } from '../../base/errors.ts'
import type { Profiler } from '../../base/io/profiler.ts'
import { limits } from '../../base/limits.ts'
import { access } from '../../base/who.ts'
import { type Acted, acting, definePath, type PathDeclaration } from '../declare.ts'
import { string } from '../query.ts'

/** What the paths stand on. */
export interface DebugPort {
  /** Whether it is configured, or ACLs say who may. */
  readonly enabled: boolean
  readonly profiler: Profiler
}

const TYPE = 'application/octet-stream'
const SECONDS_DEFAULT = 30

/** The paths for debugging. */
export function debugPaths({ enabled, profiler }: DebugPort): PathDeclaration[] {
  const rights = () => [access('read', 'operator')]
  return [
    definePath({
      where: 'agent',
      path: '/debug/pprof/{profile}',
      operations: {
        GET: acting({
          summary: 'A profile of the running program; there is `profile`, of the CPU.',
          query: { seconds: string('How long it is looked at; 30 by default.') },
          body: undefined,
          answers: {
            200: { stream: "the profile in pprof's form, compressed", type: TYPE },
            404: { text: 'enable_debug is off, and so are ACLs.' },
            501: { text: 'Another profile than that of the CPU.' },
          },
          access: rights,
          run({ name, query, who }): Acted {
            if (!enabled) return new Refusal(404, 'enable_debug is off\n')
            const denied = refuse(who, rights())
            if (denied !== undefined) return denied
            if (name !== 'profile') {
              return new Refusal(
                501,
                'not served: of the profiles, there is that of the CPU only\n',
              )
            }
            const seconds = Number(query.seconds === '' ? SECONDS_DEFAULT : query.seconds)
            const isTime = seconds > 0 && seconds * 1_000 <= limits.profileMaxMs
            if (!isTime) return new Refusal(400, 'seconds must be from 1 to 300\n')
            if (profiler.isRunning) {
              return new Refusal(500, 'Could not enable CPU profiling: it is already in use\n')
            }
            return {
              status: 200,
              type: TYPE,
              headers: { 'Content-Disposition': 'attachment; filename="profile"' },
              async *parts(signal) {
                yield await profiler.profile(seconds * 1_000, signal)
              },
            }
          },
        }),
      },
    }),
  ]
}
