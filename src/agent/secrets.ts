/**
 * The secrets' half of a server: its seal, its room, its face and who ends what is over.
 *
 * Owns how these are joined and in which order they start and stop. Loaded only where the half is
 * switched on. Holds no rule.
 */
import { join } from 'node:path'
import type { Audit } from '../audit/audit.run.ts'
import { Refusal } from '../base/errors.ts'
import { ensurePrivateFolder, readFileIfExists, writeFileAtomic } from '../base/io/file.ts'
import { productVersion } from '../base/version.ts'
import { Admission } from '../http/admission.ts'
import { createSecretsFace, type SecretsFace } from '../http/secrets/server.ts'
import { openStaticSeal } from '../secrets/barrier/kind/static.run.ts'
import type { SealKind } from '../secrets/barrier/kind/kind.run.ts'
import { SealRoom } from '../secrets/barrier/seal.run.ts'
import { Engines } from '../secrets/decide.ts'
import { enginesOn } from '../secrets/engine/mod.ts'
import { pathsWhileSealed } from '../secrets/engine/sys/engine.ts'
import { Secrets } from '../secrets/room.run.ts'
import type { Store } from '../store/store.ts'
import { Timekeeper } from '../store/timekeeper.ts'
import type { SettledConfig } from './config.ts'
import { secureOptionsOf } from './config-tls.ts'
import type { World } from './parts.ts'
import type { FaceAddress } from './running.ts'
