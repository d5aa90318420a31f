/**
 * Checks of a service of the operating system: what systemd says of a unit. Running is passing,
 * stopped or failed is critical, on its way from one to the other a warning.
 *
 * Owns the declaration. Starting systemd's tool: os-service.run.ts; its words: unit-state.ts.
 */
import { defineCheck, programBounds } from './define.ts'
import { runOsService } from './os-service.run.ts'

export const osServiceCheck = defineCheck({
  kind: 'os_service',
  schema: { isAskedBy: ({ osService }) => osService !== undefined, fields: ['osService'] },
  bounds: programBounds,
  // The program is ours to name; the definition names a unit.
  startsPrograms: false,
  run: runOsService,
})
