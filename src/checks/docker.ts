/**
 * Docker checks: a program inside of a container, judged like a script. The words are run as they
 * stand; `Shell` is taken, as Consul takes it, and means nothing beside them.
 *
 * Owns the declaration; the engine is spoken to by docker.run.ts.
 */
import { defineCheck, programBounds } from './define.ts'
import { runDocker } from './docker.run.ts'

export const dockerCheck = defineCheck({
  kind: 'docker',
  schema: {
    isAskedBy: ({ dockerContainerId, scriptArgs }) =>
      dockerContainerId !== undefined && scriptArgs !== undefined,
    fields: ['dockerContainerId', 'scriptArgs', 'shell'],
  },
  bounds: programBounds,
  startsPrograms: true,
  run: runDocker,
})
