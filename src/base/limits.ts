/**
 * Every bound of the program, with its unit in its name. docs/limits.md lists them.
 *
 * Owns the numbers; a bound that is not here does not exist. Values that users may set have
 * their default here and their key in agent/config.
 */
export const limits = {
  // --- store
  /** One row, key and value together; etcd's own request limit is 1.5 MiB. */
  rowSizeBytes: 1_048_576,
  keySizeBytes: 8_192,
  /** Operations of one transaction on every engine. */
  transactionOps: 4_096,
  /** Transactions waiting for the committer; one more is refused as busy. */
  pendingWrites: 100_000,
  /** Rows that one synced batch gathers: deciding and answering more would hold the loop. */
  batchRows: 512,
  batchSizeBytes: 8_388_608,
  /** Retries of a decide that lost against another server's write. */
  decideTries: 32,
  /** The change log keeps at least this much, so that a lost batch is always noticed. */
  logKeptSizeBytes: 16_777_216,
  /** What a batch that is used again may have held of memory: larger ones go. */
  levelBatchKeptSizeBytes: 262_144,
  /** A feed reader that lags further than this is told to start again. */
  feedBacklogChanges: 10_000,
  tombstones: 200_000,
  /** Cold rows that one read gives, and that one step of deleting a range of them takes. */
  coldPageRows: 1_000,
  /** When all cold rows are read and proven: after the start, then every day, page by page. */
  coldProofFirstMs: 600_000,
  coldProofMs: 86_400_000,
  coldProofPauseMs: 100,
  /** A file of cold rows on disk: the next one is begun then. */
  coldFileSizeBytes: 134_217_728,
  /** What of them is not synced at most: after a power loss a start writes it anew. */
  coldUnsyncedSizeBytes: 4_194_304,
  /** What is moved at least, by a batch that deletes cold rows, out of a file that is half dead. */
  coldMoveSizeBytes: 262_144,
  /** How often it is looked for ranges of cold rows that were cleared, beside when one is. */
  coldSweepMs: 60_000,
  leaseTtlMinMs: 1_000,
  waiters: 200_000,
  /** Values that rows share; see base/intern.ts. */
  internedValues: 100_000,
  scopes: 500_000,
  /** Places where changes of scopes are counted for other threads. */
  scopeMarks: 16_384,
  /** The content of an archive, unpacked; a larger store is neither saved nor restored. */
  archiveSizeBytes: 4_294_967_296,
  /** What an archive says of itself: each of its two small files. */
  archiveMetaSizeBytes: 65_536,
  /** The audit journal is trimmed by segments of so many records, or of this size. */
  journalSegmentRecords: 256,
  journalSegmentSizeBytes: 65_536,
  /** Records that one batch trims. */
  journalTrimRecords: 4_096,
  /** Records that lie in one row of the journal: those of a batch, so that they cost one. */
  journalBlockRecords: 64,
  /** Files of records that ride with no write: how large they become, and by how much they grow. */
  journalFileSizeBytes: 4_194_304,
  journalFileGrowthBytes: 262_144,
  /** So far apart are the places in such a file that are remembered. */
  journalFilePlaceBytes: 65_536,
  /** Records that one read of the journal gives. */
  journalReadRecords: 1_000,
  /** The newest records stay in memory for whoever follows closely: so many, at most twice that. */
  journalRecentRecords: 512,
  /** The journal of a store in memory. */
  journalMemorySizeBytes: 4_194_304,

  // --- views that agents keep of a store
  /** Agents that follow one server. */
  viewFollowers: 20_000,
  /** What one agent follows at most: services, nodes, names, tokens. */
  viewInterests: 4_096,
  /** What a client agent keeps of rows, about; what was not used for longest goes first. */
  viewRowsSizeBytes: 25_165_824,
  /** An interest that nobody asked about for so long goes, unless no server can be reached. */
  viewIdleMs: 3_600_000,
  /** The same of what does not exist: askers can invent as many names as they like. */
  viewAbsentIdleMs: 60_000,
  viewAbsentInterests: 1_024,
  viewSweepMs: 10_000,
  /** How often a server tells its followers that nothing changed. */
  viewHeartbeatMs: 1_000,
  /** A server that was silent for so long is left for another. */
  viewSilentMs: 5_000,
  /** How long a question waits for what it stands on; DNS clients ask again after a few seconds. */
  viewFirstMs: 2_000,
  /** Questions that wait for what they stand on. */
  viewWaiting: 4_096,
  /** The first and the longest pause before another server is followed. */
  viewRetryMinMs: 50,
  viewRetryMaxMs: 2_000,
  /** Changes that wait for a round; with more everything is sent anew. */
  viewPendingEvents: 50_000,
  /** Parts of an interest that a slow follower was not told of; with more it is sent all. */
  viewPendingParts: 4_096,
  /** A message to a follower, about. */
  viewPieceSizeBytes: 262_144,
  /** Encoded interests that are kept for who comes next. */
  viewWholesSizeBytes: 33_554_432,

  // --- timekeeper
  /** A server that is silent for so long loses its roles. */
  roleLeaseTtlMs: 5_000,
  /** The holder acknowledges no renewal in the last part of its lease. */
  roleLeaseMarginMs: 1_000,
  /** How often a role that another server holds is looked at. */
  roleRetryMs: 1_000,
  /** How long a role that was given up is left to the server that it was given up for. */
  roleHandoverMs: 3_000,
  /** A longer gap between two looks at the clock is a pause, and not held against anybody. */
  pauseMs: 1_000,
  /** A wall clock that moved by more than this against the other was set. */
  clockJumpMs: 1_000,
  /** Deadlines whose rules are under way at a time. */
  expiriesInFlight: 32,
  /** The first and the longest delay before a rule that failed is tried again. */
  expiryRetryMs: 1_000,
  expiryRetryMaxMs: 60_000,
  /** One request to etcd. */
  etcdRequestTimeoutMs: 5_000,
  /** A member of etcd that takes longer is suspected, and left when another one is well. */
  etcdSuspicionMs: 800,
  /** How often it is looked whether the certificates for etcd were renewed. */
  etcdMaterialLookMs: 10_000,
  /** Work of a member on its whole file: defragmentation, hash, snapshot. */
  etcdMaintenanceTimeoutMs: 600_000,
  /** A write or linearizable read that is not settled and shown by then is answered so. */
  etcdAnswerTimeoutMs: 10_000,
  /** Pauses between attempts to reach etcd. */
  etcdRetryMinMs: 20,
  etcdRetryMaxMs: 1_000,
  /** How often a store is loaded anew because etcd compacted it meanwhile. */
  etcdLoadTries: 16,
  /** Views of which the sum is kept, to compare it with what other servers saw. */
  etcdAccordViews: 4_096,
  /** One page when the store is read as a whole: rows at most, and the size that is aimed at. */
  etcdPageRows: 2_000,
  etcdPageSizeBytes: 4_194_304,
  /** One transaction in etcd's encoding; etcd's own limit is 1.5 MiB. */
  etcdTxnSizeBytes: 1_310_720,
  /** Compares, and operations, at the top of a transaction, and operations of a nested one. */
  etcdTxnWidth: 64,
  etcdTxnNestedWidth: 32,
  /** Several transactions that share one, all together. */
  etcdBatchSizeBytes: 1_048_576,
  /** Transactions of one server that are in flight at a time. */
  etcdLanes: 4,
  /** After this long without an answer it is found out what became of a transaction. */
  etcdSettleMs: 1_000,
  /** One page where only keys are read, and rows that one transaction of reads gives then. */
  etcdPageKeys: 2_000,
  etcdPageReads: 32,
  /** Where more rows changed while etcd was not heard, a server starts over from new content. */
  etcdCatchUpRows: 2_000,
  /** A start waits so long for what changed while the server was away. */
  etcdStartTimeoutMs: 60_000,
  /** What changed is written to the checkpoint so much later, or it is given up beyond so much. */
  checkpointDelayMs: 1_000,
  checkpointPendingRows: 500_000,
  /** What a stopping server still gives to a new checkpoint. */
  checkpointCloseMs: 2_000,
  /** Rows that one batch of a new checkpoint holds. */
  checkpointPageRows: 1_000,
  /** How often it is asked how full it is, and how often once that is more than 60 %. */
  etcdUsageMs: 10_000,
  etcdUsageNearMs: 1_000,
  /** One transaction of a restore. */
  etcdFillRows: 100,
  etcdFillSizeBytes: 1_000_000,

  // --- archives that are saved by themselves
  /** After a start where there is none yet, at least and at most twice that. */
  snapshotFirstMs: 60_000,
  /** Pauses after one that failed. */
  snapshotRetryMs: 60_000,
  snapshotRetryMaxMs: 600_000,
  /** Unless something else is configured: from one to the next, and how many are kept. */
  snapshotIntervalMs: 3_600_000,
  snapshotIntervalMinMs: 10_000,
  snapshotsKept: 24,

  // --- managed members of etcd
  /** How long `etcd --version` may take. */
  memberVersionTimeoutMs: 5_000,
  /** From being asked to end to being killed: it hands on its leadership and closes its files. */
  memberStopMs: 10_000,
  /** How long what a member said last is waited for, once it has ended. */
  memberLastWordsMs: 500,
  /** What is taken of one line of its log. */
  memberLogChars: 512,
  /** Pauses before it is started again; whoever ran so long begins at the shortest. */
  memberRestartMinMs: 200,
  memberRestartMaxMs: 10_000,
  memberSteadyMs: 30_000,
  /** How often a starting member is asked whether it serves, and the log says whom it waits for. */
  memberReadyPollMs: 50,
  /** How long a starting server waits for its own member once another one serves. */
  memberOwnWaitMs: 3_000,
  /** How long one member may take to answer how it is. */
  memberAskTimeoutMs: 2_000,
  memberWaitingWordMs: 10_000,
  /** How long it is waited until a member that is to go was taken out. */
  memberRemoveMs: 20_000,
  /** How often a server looks how all members are. */
  memberLookMs: 1_000,
  /** Members of one cluster. */
  members: 9,
  /** A learner that was added and is not there for so long is removed again. */
  memberJoinMs: 600_000,
  /** The same for one that no server waits for. */
  memberStrayMs: 30_000,
  /** How long a dead member is kept when another server waits for its place, and when none does. */
  memberReplacedMs: 10_000,
  memberDeadMs: 86_400_000,
  /** How long a copy of a disk may take to open, and what it may hold meanwhile. */
  memberRecoverMs: 120_000,
  memberRecoverQuotaSizeBytes: 68_719_476_736,
  /** How often a member's files are looked after. */
  memberUpkeepMs: 10_000,
  /** How much history is kept for readers that lag, and how much while the store is full. */
  memberHistoryMs: 600_000,
  memberHistoryFullMs: 60_000,
  /** Fewer revisions than these are not worth forgetting. */
  memberCompactRevisions: 1_000,
  /** A member is defragmented when half of its file is free, and at least this much. */
  memberDefragmentSizeBytes: 67_108_864,
  /** An alarm for space is taken back once no file is larger than this share of the quota. */
  memberRoomShare: 0.9,
  /** Entries of its log after which a member writes a snapshot and keeps fewer in memory. */
  memberSnapshotEntries: 10_000,

  // --- servers
  /** A server that is silent for so long is dead to the others. */
  serverLeaseTtlMs: 10_000,
  /** More nodes than these are counted in slices where a gauge is read. */
  gaugeNodes: 500,
  /** How often servers that died are looked for beside what leases tell. */
  serverLookMs: 5_000,
  /** How often a server asks whether its view is the newest, and how old a view is not trusted. */
  viewConfirmMs: 250,
  viewDegradedMs: 1_000,
  /** How often servers tell each other how they are, and how long an answer may take. */
  serverBeatMs: 1_000,
  serverBeatTimeoutMs: 1_000,
  /** Wall clocks that differ by so much: it is told; the server keeps no time of others. */
  clockWarnMs: 1_000,
  clockRefuseMs: 10_000,
  /** How long it is remembered what the clock of a silent server said. */
  clockSampleMs: 600_000,
  /** How long renewals are gathered before they go to the server that keeps their time. */
  renewalGatherMs: 5,
  renewalBatch: 4_096,
  renewalTimeoutMs: 2_000,
  /** How long a renewal waits for a server that keeps its time, and pauses between two tries. */
  renewalHoldMs: 7_000,
  renewalRetryMs: 100,
  /** Renewals that wait; one more is refused as busy. */
  renewalsPending: 100_000,
  /** How long a renewal waits for a server that keeps its time where a write does it as well. */
  renewalBriefHoldMs: 500,

  // --- audit
  /** What a record tells of the data of a request to the secrets, as HMACs. */
  auditDetailChars: 49_152,
  /** What an audit record quotes of a path, of another value, of a refusal. */
  auditPathChars: 1_024,
  auditValueChars: 256,
  /** Texts that record after record has are made once: so many of them, and how long. */
  auditTextsKept: 1_024,
  auditTextKeptChars: 128,
  auditReasonChars: 512,
  auditQueryParameters: 32,
  /** Rows of one write that its record names. */
  auditRowsShown: 8,
  /** One line of a file that is proven. */
  auditLineChars: 65_536,
  /** Faults that a proof names. */
  auditFaultsKept: 16,
  /** The journal: what is kept of it, and how much more while a device lacks records. */
  auditKeptSizeBytes: 33_554_432,
  auditUnshippedSizeBytes: 1_073_741_824,
  auditRetentionMs: 2_592_000_000,
  /** How often the journal is held against these. */
  auditPruneIntervalMs: 10_000,
  /** Devices of one server. */
  auditSinks: 16,
  /** What one write to a device carries at most. */
  auditBatchRecords: 256,
  auditBatchSizeBytes: 262_144,
  /** How long records gather after a write to a device, unless somebody waits for them. */
  auditRestMs: 25,
  /** One write to a device, and pauses between tries of one that failed. */
  auditWriteTimeoutMs: 10_000,
  auditRetryMs: 250,
  auditRetryMaxMs: 30_000,
  /** How long an answer waits for the devices that `audit.require` asks for. */
  auditRequireTimeoutMs: 10_000,
  /** How often it is noted what devices have, and what a stopping server waits for them. */
  auditNoteIntervalMs: 1_000,
  auditStopMs: 2_000,
  /** Records that one page of a search gives, and that it looks at. */
  auditSearchRecords: 1_000,
  auditSearchLooked: 100_000,

  // --- liveness of agents
  /** Between two beats of an agent: at least, and at most however many a server hears. */
  heartbeatMs: 2_000,
  heartbeatMaxMs: 30_000,
  /** Beats that one server takes in all: with more agents each beats less often. */
  heartbeatsPerSecond: 1_000,
  /** An agent is silent after so many beats that did not come, and not before this time. */
  silenceBeats: 3,
  silenceMs: 6_000,
  /** Whose stream ended has this long to open another one. */
  reconnectMs: 2_000,
  /** How often an agent asks its server for an echo, and how long it waits for one. */
  echoMs: 10_000,
  echoTimeoutMs: 6_000,
  /** An agent that is told that nobody hears it connects anew, not more often than this. */
  rehearMs: 5_000,
  /** How often a server tells what it hears, and how long the answer may take. */
  livenessReportMs: 1_000,
  livenessReportTimeoutMs: 3_000,
  /** How often the holder looks at what is due. */
  livenessTickMs: 250,
  /** How often an agent measures how far a peer is. */
  measureMs: 10_000,
  /** Peers that one server proposes, and how many of them the holder tells it at a time. */
  measurePeers: 256,
  measurePeersAtOnce: 8,
  /** Peers whose newest round-trip times an agent keeps. */
  coordinatePeers: 512,
  /** Coordinates that all agents together write, and the least time between two of one agent. */
  coordinatesPerSecond: 64,
  coordinateMs: 15_000,
  /** A coordinate that moved by less is not written. */
  coordinateMovedMs: 0.5,
  /** Agents that one difference tells of, and findings that it carries. */
  livenessReportNodes: 500,
  /** Others that must fail to reach a silent node before it is marked. */
  probers: 3,
  /** One probe, with the connection that it takes. */
  probeTimeoutMs: 3_000,
  /** Probes of one agent at a time; one more is not made. */
  probesInFlight: 32,
  /** How long one of them may take to say what it found, and how often others are asked instead. */
  probeAnswerMs: 6_000,
  probeTries: 3,
  /** How often a silent node that others reach is looked after again. */
  probeAgainMs: 10_000,
  /** Probes that a timekeeper orders in all. */
  probeOrdersPerSecond: 500,
  probeOrdersAtOnce: 100,
  /** A node that no server hears has this long to turn up at another one. */
  livenessHopMs: 2_000,
  /** When many are lost at once, they are looked at so many a second. */
  livenessLostPerSecond: 5_000,
  /** A new timekeeper waits this long for the servers to tell who is there. */
  livenessSettleMs: 15_000,
  /** A server whose differences stay away for so long is silent, and hears nobody. */
  livenessServerSilentMs: 6_000,
  /** The brake: so many nodes, and this share of all, falling silent within the window. */
  livenessBrakeNodes: 5,
  livenessBrakeShare: 0.15,
  livenessWindowMs: 10_000,
  /** How long such nodes keep their last state. */
  livenessGraceMs: 120_000,
  /** Nodes that are marked critical, and those of one transaction. */
  livenessMarksPerSecond: 100,
  livenessBatchNodes: 32,
  /** A transaction that marks nodes takes no further one beyond so many operations. */
  livenessBatchOps: 1_000,
  /** How long a dead agent's node stays in the catalog, and the shortest such time. */
  reconnectTimeoutMs: 259_200_000,
  reconnectTimeoutMinMs: 10_000,
  /** Nodes whose time has come that are worked on at a time. */
  livenessNodesPerTick: 400,
  /** Deadlines of nodes that one piece of work moves on, most of which are not due yet. */
  livenessAlarmsPerTick: 1_000,
  /** Orders to look after nodes that one piece of work gives. */
  livenessOrdersPerTick: 40,

  // --- http
  httpBodySizeBytes: 524_288,
  /** A body on the listener of the secrets. */
  secretsBodySizeBytes: 33_554_432,
  /** Bodies of this size and more are read only once rate limits let their senders pass. */
  ratedBodySizeBytes: 4_096,
  /** All bodies at a time on it, of each what is beyond the next bound. */
  secretsBodiesSizeBytes: 134_217_728,
  secretsBodyUncountedSizeBytes: 65_536,
  /** Answers that leave together, and the size of one; what is larger is left to Node. */
  answersTogether: 64,
  answerTogetherSizeBytes: 16_384,
  /** How long requests to the secrets are worked on in one turn of the loop. */
  secretsTurnMs: 1,
  /** The same while somebody asks the registry, and how long one request counts for that. */
  secretsTurnBesideOthersMs: 0.25,
  registryAskedMs: 100,
  /** Paths of a method whose route is remembered, where no open end tells it, and their length. */
  routedPaths: 4_096,
  routedPathChars: 256,
  /** Rows behind the barrier that are kept opened, at least; at most twice as many. */
  openedRows: 16_384,
  /** What requests led to, kept for the next ones to the same paths; at most twice as many. */
  keptPlans: 2_048,
  /** Areas of rows whose keys' beginnings are kept; at most twice as many. */
  keptAreas: 1_024,
  /** Hashes of tokens that were shown, kept as long; at most twice as many. */
  keptTokenHashes: 2_048,
  /** Texts of sealed rows that are kept opened, each up to so long; at most twice as many. */
  openedTexts: 8_192,
  openedTextChars: 1_024,
  /** Texts of answers, each up to so long, whose hashes are kept; at most twice as many. */
  auditedTexts: 2_048,
  auditedTextChars: 1_024,
  /** A wrapping token as JWT; what is longer is none of ours. */
  wrappingJwtChars: 4_096,
  /** What is sealed as one row. */
  secretValueSizeBytes: 1_000_000,
  /** The path of a secret, an engine or a role. */
  secretPathSizeBytes: 2_048,
  /** Values of versions up to so long, as JSON, lie in the row of their secret. */
  kvValueInRowChars: 128,
  /** Versions of a secret that are kept, unless it or its mount says otherwise. */
  kvVersions: 10,
  kvCustomMetadataKeys: 64,
  kvCustomMetadataKeySizeBytes: 128,
  kvCustomMetadataValueSizeBytes: 512,
  /** Secrets that one search looks at. */
  kvSearchSecrets: 10_000,
  kvValueSizeBytes: 524_288,
  /** Operations of one client's transaction. */
  txnOps: 128,
  /** Room for what stands round one value of the largest size in a transaction. */
  txnBodySlackSizeBytes: 16_384,
  httpHeaderSizeBytes: 65_536,
  jsonDepth: 64,
  httpHeaderReadTimeoutMs: 10_000,
  httpIdleTimeoutMs: 120_000,
  /** A whole request with its body; waiting for its answer does not count. */
  httpRequestTimeoutMs: 900_000,
  /** How often connections are held against the time-outs above. */
  httpTimeoutCheckMs: 2_000,
  /** Connections of one address, and of all addresses on one listener. */
  httpConnectionsPerClient: 200,
  httpConnections: 60_000,
  /** From the opening of a TLS connection to the end of its handshake. */
  httpsHandshakeTimeoutMs: 5_000,
  /** How long what was agreed in a handshake may be resumed. */
  httpsSessionMs: 300_000,
  /** Handshakes under way on one listener; one more ends the one that has taken longest. */
  httpsHandshakes: 10_000,
  /** Headers of one request. */
  httpHeaders: 256,
  /** In each such time a body that is still coming must bring so much. */
  httpBodyWindowMs: 30_000,
  httpBodyWindowSizeBytes: 1_024,
  /** How long a connection that was refused may take to hear so. */
  httpRefusedLingerMs: 1_000,
  /** What is read and thrown away of a request that was answered before it was whole. */
  httpLingerSizeBytes: 67_108_864,
  /** For how long in all, and without a byte. */
  httpLingerMs: 30_000,
  httpLingerSilentMs: 5_000,
  /** Between two lines of the log about requests beyond their rate. */
  rateLogIntervalMs: 10_000,
  /** Clients whose requests are counted one by one; those silent longest are forgotten. */
  ratedClients: 20_000,
  queryWaitDefaultMs: 300_000,
  queryWaitMaxMs: 600_000,
  answerCacheEntries: 20_000,
  answerCacheSizeBytes: 67_108_864,
  /** Over TLS head and body up to this come together in one memory; longer ones Node copies. */
  answerPieceSizeBytes: 131_072,
  /** JSON text of single rows, of each kind of text. */
  fragmentCacheChars: 8_388_608,

  /** Answers that go on (logs, metrics, archives) at a time. */
  httpStreams: 256,

  // --- feeds
  /** Readers of feeds of one server. */
  feedReaders: 50_000,
  /** A part of a long frame; one item may make it longer. */
  feedPartSizeBytes: 65_536,
  /** What changed of all subjects that are followed; the older half is forgotten beyond that. */
  feedLogEntries: 200_000,
  /** What was sent to slow readers and not taken; the slowest are ended beyond that. */
  feedPendingSizeBytes: 67_108_864,
  /** A reader who takes nothing for so long is ended. */
  feedStalledMs: 300_000,
  /** How often a reader hears something at least, unless he asks for another time within these. */
  feedHeartbeatMs: 10_000,
  feedHeartbeatMinMs: 1_000,
  feedHeartbeatMaxMs: 300_000,
  /** A reader who takes longer for a frame is told as one what changed meanwhile. */
  feedSlowMs: 250,
  /** So is one who has missed more than that. */
  feedEachEntries: 1_024,
  /** How often it is looked at what is due. */
  feedTickMs: 500,
  /** What readers are told to wait before they come again. */
  feedRetryMs: 1_000,

  // --- tokens and leases of the secrets half
  /** How long the token of a login lives where neither its role nor its mount says so. */
  loginTtlMs: 43_200_000,
  /** How long the token may do everything that a first `operator apply` works with. */
  applyTokenMs: 600_000,
  /** What is said of a token (its policies, `meta`, `display_name`), as JSON. */
  tokenChars: 65_536,
  batchTokenChars: 4_096,
  /** How many tokens stand above one in its tree: the way to the lowest is walked in each step. */
  tokenTreeDepth: 1_000,
  /** Leases whose engines are taking back what they gave, in all and of one mount. */
  revocations: 200,
  revocationsOfMount: 20,
  /** How often the queue of them is looked at. */
  revocationTickMs: 1_000,
  /** How long after its first failure one is tried again, and how long at most. */
  revocationRetryMs: 10_000,
  revocationRetryMaxMs: 3_600_000,
  /** What an engine says of a failure, as it is kept. */
  revocationErrorChars: 240,

  // --- bodies of requests to the secrets half, counted before anything is made of them
  /** Values in lists and objects, and texts among them with the objects' keys. */
  secretsJsonEntries: 100_000,
  secretsJsonStrings: 100_000,
  secretsJsonStringSizeBytes: 1_048_576,
  secretsJsonNumberChars: 1_024,
  /** What the values take in memory, about. */
  secretsJsonMemorySizeBytes: 34_078_720,

  // --- gRPC for everybody
  /** Connections of all addresses on one listener; of one, see `httpConnectionsPerClient`. */
  grpcConnections: 60_000,
  /** Calls and streams under way: of one connection, of one address, and of all. */
  grpcCallsPerConnection: 256,
  grpcCallsPerClient: 25_000,
  grpcCalls: 50_000,
  /** One message from a client. */
  grpcMessageSizeBytes: 4_194_304,
  /** Requests that are not answered yet, together; small ones are not counted. */
  grpcRequestsSizeBytes: 268_435_456,
  grpcRequestUncountedSizeBytes: 8_192,
  /** For the request of a call that is no stream of them, and how often it is looked at. */
  grpcRequestMs: 60_000,
  grpcSweepMs: 2_000,
  /** What the library keeps for one connection; beyond it calls are refused there. */
  grpcConnectionSizeBytes: 67_108_864,
  /** Messages of one stream that wait for a slow reader; one more ends the stream. */
  grpcStreamMessages: 1_024,
  /** A silent connection is asked for a sign of life, and cut without one. */
  grpcKeepaliveMs: 20_000,
  grpcKeepaliveTimeoutMs: 5_000,
  /** A connection without a call for so long is let go. */
  grpcIdleMs: 1_800_000,
  /** What the text of a failure may have, and all that tells of it: clients bound headers. */
  grpcTextChars: 1_024,
  grpcDetailsSizeBytes: 4_096,

  // --- between agents
  /** Connections of one listener, and handshakes under way: one more ends the longest. */
  rpcConnections: 60_000,
  rpcHandshakes: 10_000,
  rpcHandshakeTimeoutMs: 5_000,
  /** Connections without a certificate of ours: one more ends the oldest, and none lasts longer. */
  rpcUnknownConnections: 1_000,
  rpcUnknownTimeoutMs: 30_000,
  /** What one message of theirs may weigh, and their calls under way on one connection. */
  rpcUnknownMessageSizeBytes: 65_536,
  rpcUnknownCalls: 4,
  /** One message between agents, either way. */
  rpcMessageSizeBytes: 4_194_304,
  /** Calls and streams of one connection under way at a time. */
  rpcCalls: 4_096,
  /** Messages of one stream that wait for a slow reader; one more ends the stream. */
  rpcStreamMessages: 1_024,
  /** A silent connection is asked for a sign of life, and cut without one. */
  rpcKeepaliveMs: 20_000,
  rpcKeepaliveTimeoutMs: 5_000,
  /** How often connections are held against expiry and revocation. */
  rpcSweepIntervalMs: 2_000,
  /** What a stopping server waits for calls under way. */
  rpcStopMs: 2_000,
  /** Pauses before a server that failed is tried again, longer each time. */
  rpcRetryMs: 100,
  rpcRetryMaxMs: 5_000,
  /** For a connection to one server; then another one is tried. */
  rpcConnectTimeoutMs: 2_000,
  /** Single agents that are kept connected, and how long one that is not asked is. */
  rpcAgentChannels: 256,
  rpcAgentIdleMs: 60_000,

  // --- the agents' CA
  /** A certificate of an agent, and how much earlier than now it begins, for slow clocks. */
  caLeafMs: 259_200_000,
  caSkewMs: 3_600_000,
  /** A root: twenty years. */
  caRootMs: 630_720_000_000,
  /** The least time in which an old root is trusted beside a new one. */
  caOverlapMs: 600_000,
  /** Roots of one use that are trusted at a time, and certificates that lead to older ones. */
  caRoots: 3,
  caCrosses: 4,
  /** How often a server looks whether a root has had its time. */
  caTidyIntervalMs: 60_000,
  /** How often a leaf is looked at, so that a clock that was set is noticed. */
  caLookMs: 3_600_000,
  /** Pauses between tries to renew: the first, and how many times longer the longest is. */
  caRetryMs: 5_000,
  caRetryFactor: 64,
  /** For one server to let an agent in. */
  joinTimeoutMs: 15_000,
  /** A program that prints where servers are: its output and its time. */
  joinOutputSizeBytes: 65_536,
  joinProgramTimeoutMs: 10_000,
  /** Between two rounds of servers that found a cluster. */
  foundingRetryMs: 500,
  /** Servers with another join token that are named in the log of one that founds. */
  foundingOthers: 100,
  /** Join tokens of one cluster. */
  joinTokens: 1_024,

  // --- certificates
  /** DER that others sent: its size, elements, those in each other, and arcs of one identifier. */
  derSizeBytes: 65_536,
  derNodes: 4_096,
  derDepth: 32,
  derArcs: 32,
  /** Names beside the subject that an agent's signing request asks for. */
  csrNames: 64,
  /** Names beside the subject of any other request. */
  requestNames: 1_024,
  /** One of them, and one part of a subject, where a role gives it. */
  roleNameChars: 2_048,
  /** The number of a certificate, as it is read; those that are given have 20 bytes. */
  serialSizeBytes: 64,
  /** A list of revoked certificates that is read. */
  crlSizeBytes: 4_194_304,
  crlNodes: 1_048_576,
  /** Certificates that one OCSP request asks about. */
  ocspQuestions: 64,
  /** Blocks of one PEM text. */
  pemBlocks: 1_024,

  // --- filter expressions
  filterChars: 16_384,
  filterDepth: 32,
  /** Comparisons of one expression. */
  filterMatches: 1_024,
  /** Steps of all regular expressions of one filter. */
  filterPatternSteps: 256,
  /** How often a regular expression repeats a part at most, as in Go. */
  filterPatternRepeats: 1_000,
  /** States and transitions that a regular expression keeps of what it has seen. */
  filterPatternStates: 128,
  filterPatternTransitions: 2_048,
  /** Steps that the regular expressions of a filter may take on one item, or one on a text. */
  filterPatternWork: 2_000_000,
  /** Compiled filters that are kept for each list that can be filtered. */
  filterCacheEntries: 32,

  // --- identity
  /** Links of one kind that a token or role, or datacenters that a policy, may have. */
  aclLinks: 256,
  aclNameChars: 128,
  aclDescriptionChars: 4_096,
  /** A token that ends sooner is not made. Consul's. */
  aclTokenTtlMinMs: 60_000,
  /** Tokens of an auth method live no longer, where it says how long. Consul's. */
  authMethodTtlMaxMs: 86_400_000,
  /** How soon servers look again whose a token is, where they could not tell an agent. */
  viewRefusedLookMs: 1_000,
  /** Leases of one mount that are looked at to tell which paths gave the most. */
  countedLeasesOfMount: 20_000,
  /** How long who waits with a token of the secrets goes on after some row of theirs changed. */
  otherTokensLookMs: 250,
  /** Principals that are kept ready; others are worked out again when they ask. */
  knownPrincipals: 20_000,
  /** Refused requests that can be explained, and as many that went on; the oldest go. */
  explainedRequests: 10_000,
  /** The names in them: those that clients choose may be as long as a request line. */
  explainedNamesChars: 4_194_304,
  /** A wait for something further off is begun again when it is over. */
  timeoutMaxMs: 86_400_000,
  /** The rules of one policy: their text, and how many there are. */
  aclRulesChars: 524_288,
  aclRulesInText: 8_192,
  /** Findings about one text of rules; those beyond it are not told. */
  aclFindings: 256,
  /** The name in a service identity, a node identity or a templated policy. */
  identityNameChars: 256,

  // --- secrets: identities
  /** How far the day on which an entity was last seen may be behind. */
  entitySeenStepMs: 86_400_000,
  /** The name of an entity, a group or an alias. */
  entityNameChars: 512,
  /** Entities that one request ends, and members that one changes in a group. */
  entitiesEndedAtOnce: 128,
  groupMembersAtOnce: 256,
  /** Second factors and demands for them in a namespace, and names in one demand. */
  mfaMethods: 256,
  mfaEnforcements: 256,
  mfaTargets: 1_024,
  mfaNameChars: 256,
  /** The text that the name of somebody at a service is made of. */
  mfaUsernameChars: 1_024,
  /** What of a secret for passcodes may be chosen: its key, its picture, its period and tries. */
  mfaKeySizeBytes: 256,
  mfaQrPixels: 2_048,
  mfaPeriodMaxMs: 86_400_000,
  mfaAttempts: 1_000,
  /** Second factors that one request may show. */
  mfaCredentials: 64,
  /** How long a login waits for its second factor, and how many of an entity do. */
  mfaLoginMs: 300_000,
  mfaLoginsOfEntity: 16,
  /** A login whose second factors were not right so often has to begin anew. */
  mfaLoginFailures: 32,
  /** How often a service is asked for somebody in vain before he is left in peace for so long. */
  mfaAsks: 10,
  mfaAsksMs: 300_000,
  /** The settings file of a second factor, in base64. */
  mfaSettingsChars: 16_384,
  /** A secret id of approle, and those that one transaction ends. */
  secretIdChars: 4_096,
  secretIdsEndedAtOnce: 256,
  /** A signed request of ACME, and the keys that may sign one. */
  acmeBodySizeBytes: 65_536,
  acmeRsaLeastBits: 2_048,
  acmeRsaMostBits: 8_192,
  /** How long a nonce is good. */
  acmeNonceMs: 900_000,
  /** How long an order waits for its certificate. */
  acmeOrderMs: 86_400_000,
  acmeIdentifiers: 100,
  acmeContacts: 10,
  /** What is drawn for the token of a challenge. */
  acmeTokenSizeBytes: 32,
  /** Challenges that wait to be looked at, those looked at at once, and how often they begin. */
  acmeWaiting: 1_024,
  acmeValidations: 32,
  acmeTickMs: 250,
  /** One look at a challenge: its time, the addresses tried, and what is read of the answer. */
  acmeValidationMs: 10_000,
  acmeAddresses: 4,
  acmeAnswerSizeBytes: 4_096,
  /** How often a challenge is looked at before it failed; the pauses grow from this one. */
  acmeTries: 5,
  acmeRetryMs: 1_000,
  /** How often it is looked whether a mount of PKI is to be tidied. */
  tidyTickMs: 1_000,
  /** When a thread for arithmetic ends that has nothing to do. */
  threadIdleMs: 30_000,
  /** Threads that hash passwords, and how many wait for one. */
  passwordThreads: 2,
  passwordsWaiting: 256,
  /** Threads that draw RSA keys and work with them, and how many jobs wait for one. */
  keyThreads: 2,
  keyJobsWaiting: 1_024,
  /** What is signed at once; more is hashed piece by piece, or in a thread where a key cannot. */
  signedHereSizeBytes: 262_144,
  // --- secrets over gRPC
  /** Names in one page of a list. */
  secretsListNames: 10_000,
  /** Paths that one call reads, and what their data may take together. */
  secretsReadMany: 128,
  secretsReadManySizeBytes: 3_145_728,
  /** How often a stream asks whether its token may still do what it does. */
  secretsStreamRightsMs: 1_000,
  /** Streams that keep certificates fresh; how often each looks at clock and rights, at most. */
  certificateWatches: 10_000,
  certificateWatchLookMs: 1_000,
  /** Such looks in a second, of all streams together. */
  certificateWatchLooksPerSecond: 2_000,
  /** Looks at the rights of who follows a topic of the secrets, in a second, all together. */
  secretsFeedLooksPerSecond: 10_000,
  /** How soon, and how late, rows are read again that a topic tells of and no event does. */
  secretsFeedPauseMs: 1_000,
  secretsFeedLatestMs: 60_000,
  /**
   * How often stored certificates are read for a topic: reading takes one part in so many of the
   * time, and the longest time between.
   */
  certificateFeedReadMs: 60_000,
  certificateFeedShare: 50,
  certificateFeedAllMs: 3_600_000,
  /** How many of a mount may be due, or may become so until they are read again. */
  certificateFeedRows: 10_000,
  /** Streams that a server encrypts or decrypts at a time; each holds a chunk. */
  transitStreams: 256,
  /** How long one of them waits for its client. */
  transitStreamIdleMs: 300_000,
  /** What one of them may hold, and what a client may bind to it. */
  transitStreamSizeBytes: 68_719_476_736,
  transitStreamAssociatedSizeBytes: 4_096,

  // --- secrets: identity tokens and the OIDC provider
  /** Names of keys, roles, scopes, assignments, clients and providers, and ids of clients. */
  oidcNameChars: 512,
  /** Keys, and providers, that a namespace has: whoever asks for public keys looks at all. */
  oidcKeys: 256,
  oidcProviders: 256,
  /** A key rotates after so long at least. Vault's. */
  oidcRotationMinMs: 60_000,
  /** Public keys of one key that are out of use and still told; a rotation by hand adds one. */
  oidcRetiredKeys: 64,
  /** How long public keys may be kept: so long one that was lost is trusted. */
  oidcKeysMaxAgeMs: 3_600_000,
  /** How long it may keep a page of discovery. Vault's. */
  oidcDiscoveryMaxAgeMs: 3_600_000,
  /** A template, and what a token says once it is filled. */
  oidcTemplateChars: 16_384,
  oidcClaimsChars: 65_536,
  /** Items of a list: redirect URIs, assignments, scopes, ids. */
  oidcListItems: 1_000,
  oidcUriChars: 2_048,
  /** `state` and `nonce`. */
  oidcEchoedChars: 2_048,
  /** How long a code may be redeemed (Vault's), and how many an entity has waiting. */
  oidcCodeTtlMs: 300_000,
  oidcCodesOfEntity: 256,
  /** How often it is looked for keys that wait for their next pair, of transit too. */
  keyRotationTickMs: 5_000,

  // --- secrets: transit
  /** The name of a key. */
  transitKeyNameChars: 512,
  /** Items of one batch. */
  transitBatchItems: 10_000,
  /**
   * Batches of so many items are encrypted and decrypted in one piece of memory, where there are
   * several cores in a thread; of more, or of longer texts, one by one in slices of the loop.
   */
  cipherLaneItems: 32,
  cipherLaneItemsMax: 256,
  /** The texts of such a batch, as they are sent. */
  cipherLaneChars: 262_144,
  /** Batches that wait for that thread; one more is done at once. */
  cipherLaneWaiting: 8,
  /** A key for HMACs. Vault's. */
  transitHmacKeyMinSizeBytes: 32,
  transitHmacKeyMaxSizeBytes: 512,
  /** A key rotates by itself after so long at least. Vault's. */
  transitAutoRotateMinMs: 3_600_000,
  /** A wrapped key that is imported. */
  transitImportChars: 65_536,
  /** The smallest size of a cache that may be said. Vault's. */
  transitCacheMinKeys: 10,
  /** A number in a backup: the modulus of RSA with 4096 bits has 1,234 digits. */
  transitBackupNumberChars: 1_300,
  /** The certificate chain of a version. */
  transitChainChars: 131_072,
  /** Versions of a key that are opened without giving the loop back. */
  transitVersionsOpenedAtOnce: 256,
  /** Versions of a key that one transaction deletes. */
  transitVersionsAtOnce: 1_000,
  /** A password of userpass. */
  passwordChars: 1_024,
  /** The most that a hash of bcrypt may cost: half a second, each step twice as long. */
  bcryptCost: 12,
  /** A longer token is hashed at each request of its connection. */
  shownSecretChars: 256,

  // --- secrets: the authority (pki)
  /** Issuers of one mount, and keys. */
  pkiIssuers: 500,
  pkiKeys: 500,
  /** The name of an issuer or a key. */
  pkiNameChars: 256,
  /** Certificates and keys that are imported, as one text. */
  pkiBundleChars: 524_288,
  /** Roles that are looked at for the name of an issuer that goes. */
  pkiRolesLookedAt: 100,
  /** Lists of revoked certificates that a server keeps ready, at least; at most twice as many. */
  pkiListsKept: 64,
  /** Lists that one `resign-crls` joins, together, and entries that one request lists. */
  pkiResignedChars: 1_048_576,
  pkiSignedEntries: 20_000,
  /** An OCSP request, as it is sent or stands in a path. */
  pkiOcspChars: 2_048,
  /** Names of a certificate in `certs/detailed`. */
  pkiDetailedNames: 5,

  // --- secrets: policies
  /** One policy: its text, its blocks, the path of one. */
  policyTextChars: 524_288,
  policyBlocks: 8_192,
  policyPathChars: 4_096,
  /** What a block says of parameters: their names, and the values of all of them. */
  policyParameters: 256,
  policyParameterValues: 4_096,
  /** Sets of policies that are kept ready; the one that was made first goes. */
  compiledPolicies: 4_096,
  /** Passwords that a policy may ask for. Vault's. */
  passwordMinChars: 4,
  passwordMaxChars: 100,
  passwordRules: 64,
  /** Different characters to choose from. Vault's. */
  passwordCharsetChars: 256,
  /** Drawn passwords that break a rule before one is put together by the rules. */
  passwordTries: 256,

  // --- registry
  /** How long coordinates are gathered before they are written, and how many go together. */
  coordinateDelayMs: 1_000,
  coordinateBatchRows: 512,
  /** Nodes whose coordinates wait to be written; one more is refused as busy. */
  coordinatesPending: 16_384,
  metaPairs: 64,
  metaKeyChars: 128,
  metaValueChars: 512,
  /** Items of one list or map of a configuration entry. */
  configEntryItems: 4_096,
  /** One transaction of work that goes in several: its operations, and their size. */
  endingOps: 1_024,
  endingSizeBytes: 524_288,
  /** Such work is taken over by the timekeeper when it has rested for so long. */
  endingTakeoverMs: 2_000,
  sessionTtlMinMs: 10_000,
  sessionTtlMaxMs: 86_400_000,
  lockDelayDefaultMs: 15_000,
  lockDelayMaxMs: 60_000,
  /** A session ends between one and this many TTLs after its last renewal, as Consul's do. */
  sessionTtlFactor: 2,
  /** Shorter TTLs of the checks of catalog registrations are raised to this. */
  registrationTtlMinMs: 1_000,

  /** Events that an agent remembers, and that are on their way. */
  eventRing: 256,
  eventPayloadSizeBytes: 100,
  /** Name, filters and payload (in base64) of one event. */
  eventSizeBytes: 512,

  /** The name of a prepared query; a template is looked for by each part that one begins with. */
  queryNameSizeBytes: 1_024,

  // --- logins
  /** One JSON web token, and how long the name of its key may be. */
  jwtSizeBytes: 32_768,
  jwtKeyIdChars: 256,
  /** Keys of one auth method or key set, and how many one token is tried with. */
  jwtKeys: 64,
  jwtKeysTried: 8,
  /** The least size of an RSA key that tokens are verified with. */
  jwtRsaMinBits: 2_048,
  /** The body of a login: the token, and what its client notes of it. */
  loginBodySizeBytes: 65_536,
  /** How often a proof is looked at again because its auth method changed meanwhile. */
  loginTries: 4,
  /** Binding rules of one auth method; a token has no more links. */
  bindingRulesOfMethod: 256,
  /** Tokens that end in one transaction when their auth method is deleted. */
  tokensEndedAtOnce: 512,
  /** Claims that an auth method takes over, of each kind. */
  jwtMappings: 64,
  /** An answer of an issuer, and how long it may take as a whole. */
  jwksSizeBytes: 262_144,
  jwksTimeoutMs: 10_000,
  /** Keys older than this are fetched again; where that fails they are used up to the second. */
  jwksFreshMs: 300_000,
  jwksKeptMs: 3_600_000,
  /** How often an issuer is asked at most, whatever tokens say. */
  jwksRetryMs: 10_000,
  /** Issuers whose keys are kept. */
  jwksPlaces: 256,

  // --- conditions
  /** Conditions of one store, what each governs, and the text that describes one. */
  conditions: 256,
  conditionOperations: 64,
  conditionTextChars: 1_024,
  /** One expression: its text, the brackets that stand in each other, its parts and their depth. */
  conditionChars: 2_048,
  conditionBrackets: 24,
  conditionNodes: 512,
  conditionDepth: 128,
  /** Loops that stand in each other. */
  conditionLoops: 2,
  /** Steps of one evaluation, and of all that one write asks for. */
  conditionSteps: 5_000,
  conditionWriteSteps: 25_000,
  /** A body that conditions look at, its values, and the part of a plain one that is a text. */
  conditionBodySizeBytes: 65_536,
  conditionBodyNodes: 4_096,
  conditionBodyTextBytes: 4_096,
  /** Patterns, networks and time zones that are kept ready, of each. */
  conditionValuesKept: 64,
  /** A program of a PKI role: its steps, its variables, and what it looks at. */
  celRoleSteps: 100_000,
  celVariables: 64,
  celRequestChars: 65_536,

  // --- checks
  checkIntervalMinMs: 1_000,
  /** Of checks of nodes without an agent whose definition has none. */
  checkExternalIntervalMs: 30_000,
  checkTimeoutMs: 10_000,
  /** Of checks that start programs. */
  checkProgramTimeoutMs: 30_000,
  checkTimeoutMaxMs: 600_000,
  checkOutputSizeBytes: 4_096,
  /** What is read of an HTTP answer's body at most; its end is what is kept. */
  checkBodySizeBytes: 1_048_576,
  /** An answer of the Docker engine that is no output of a program. */
  checkDockerAnswerSizeBytes: 65_536,
  /** Redirects that one HTTP run follows, all on the same host. */
  checkRedirects: 10,
  /** Runs at a time; checks that timed out last time share a quarter of them. */
  checksInFlight: 1_024,
  /** How often services whose checks stay critical are looked for, and the shortest such time. */
  checkReapIntervalMs: 30_000,
  checkReapMinMs: 1_000,
  checkDeregisterMinMs: 60_000,
  /** How long changes of the agent's entries in the catalog are gathered before they are undone. */
  agentSyncDelayMs: 1_000,
  /** How often all of the agent's entries are compared with the catalog. */
  agentSyncIntervalMs: 60_000,
  agentSyncMinMs: 1_000,
  /** How long differences are gathered before an agent that is no server tells the servers. */
  syncDelayMs: 10,
  /** How long an answer waits for the servers to be told, so that it is found in the catalog. */
  syncAnswerMs: 1_000,
  /** After this an agent that could not tell the servers tries again; longer each time, at most: */
  syncRetryMs: 500,
  syncRetryMaxMs: 10_000,
  /** How long a server may take to take in what an agent tells. */
  syncTimeoutMs: 10_000,
  /** Entries that an agent tells of at a time. */
  syncEntries: 500,
  /** Output of a check as an agent tells it; that of the configuration is below. */
  syncOutputChars: 65_536,
  /** From so many nodes on the interval of full syncs grows, by one with each doubling. */
  syncScaleNodes: 128,
  /** What a leaving agent waits for its node to be removed. */
  agentLeaveMs: 5_000,

  /** Requests that an agent forwards at a time. */
  forwardedRequests: 16_384,
  /** Bytes of a body in one message; a body that is no longer is kept until it is answered. */
  forwardPieceSizeBytes: 65_536,
  /** Bytes of a body that are on their way in one direction. */
  forwardWindowSizeBytes: 262_144,
  /** How long a request waits for servers that were there a moment ago. */
  forwardHoldMs: 7_000,
  /** One message of an answer to a forwarded call of gRPC. */
  forwardedAnswerSizeBytes: 67_108_864,
  forwardRetryMs: 50,

  /** What a stopping agent waits for writes of its own that are under way. */
  agentStopMs: 2_000,

  // --- dns
  dnsCacheEntries: 50_000,
  dnsNegativeEntries: 10_000,
  dnsUdpSizeBytes: 65_467,
  dnsTcpSizeBytes: 65_523,
  dnsUdpPlainSizeBytes: 512,
  dnsUdpPlainAnswers: 8,
  dnsUdpAnswerLimit: 3,
  dnsTcpRecords: 4_096,
  dnsTcpSrvRecords: 1_024,
  dnsTcpConnections: 1_000,
  dnsTcpIdleMs: 10_000,
  /** What is taken over from resolv.conf, as glibc does. */
  resolverServers: 3,
  resolverSearchDomains: 6,
  resolverTimeoutMs: 30_000,
  resolverAttempts: 5,
  /** How long hosts file and resolv.conf are trusted before they are looked at again. */
  resolverFilesMs: 5_000,
  dnsNameSizeBytes: 255,
  /** All templates of one cache together. */
  dnsCacheSizeBytes: 67_108_864,
  /** Queries that wait for a linearizable view or for a large answer; one more is dropped. */
  dnsWaiting: 10_000,
  /** Answers of one address that the thread of DNS keeps, and all of them together. */
  dnsThreadEntries: 10_000,
  dnsThreadSizeBytes: 16_777_216,
  /** Its young generation and all else on its heap. */
  dnsThreadYoungSizeBytes: 6_291_456,
  dnsThreadHeapSizeBytes: 67_108_864,
  /** Queries that it hands over at a time, and how much waits to be; what is more is dropped. */
  dnsHandedQueries: 32,
  dnsHandedSizeBytes: 4_194_304,
  /** For what had come when it took an address over. */
  dnsHandoverMs: 1_000,
  /** How late the numbers are that it tells. */
  dnsThreadTellsMs: 250,
  /** How far it goes ahead of the other threads, where it may. */
  dnsThreadAheadNice: 5,
  /** One query over TCP; a connection that announces more is closed. */
  dnsTcpQuerySizeBytes: 4_096,
  /** Questions to recursors that are under way; one more is answered SERVFAIL. */
  dnsRecursing: 1_000,
  /** The largest datagram that recursors are asked for, which passes any path whole. */
  dnsRecursorUdpSizeBytes: 1_232,
  /** Recursors that a configuration names. */
  dnsRecursors: 16,
  /** Counters of answers to networks; those whose hashes meet share one. */
  dnsRateSlots: 65_536,
  /** Records that are taken over from where a host name points to. */
  dnsFollowedRecords: 256,
  /** The same for an asker without EDNS, as in Consul. */
  dnsFollowedPlainRecords: 5,
  /** Host names that are followed for one answer; the others stand in it by name alone. */
  dnsFollowedHosts: 8,
  /** Steps of the work on one name of ours that an answer leads to: instances looked at. */
  dnsFollowedSteps: 512,
  /** Names of ours that lead to names of ours. */
  dnsFollowedLevels: 3,
  /** Ports that are tried for one that is free for UDP and TCP. */
  dnsPortTries: 16,
  /** Names that a domain's NS answer lists. */
  dnsNameServers: 3,
  /** What the kernel is asked to hold for a UDP socket, each way; it may grant less. */
  udpBufferSizeBytes: 1_048_576,
  /** Answers that wait for the kernel; beyond it they are dropped. */
  udpQueueSizeBytes: 1_048_576,
  /** Compression pointers in one name; it has no more labels than this. */
  dnsNameHops: 127,
  /** The encoded records of one question's full set; those beyond are left out. */
  dnsTemplateSizeBytes: 16_777_216,

  // --- configuration and command line
  /** One HCL or JSON text: a configuration file, a set of rules. */
  hclTextChars: 4_194_304,
  hclDepth: 64,
  /** Files that one start reads, all `-config-dir` folders together. */
  configFiles: 1_000,
  /** One file of certificates or of a key, and the files that a `ca_path` may hold. */
  tlsFileSizeBytes: 1_048_576,
  tlsAuthorityFiles: 1_000,
  /** An answer that the command line takes in, a value or an export that it sends. */
  cliBodySizeBytes: 268_435_456,
  /** `watch` asks an agent that failed again after this, longer each time. */
  watchRetryMs: 5_000,
  watchRetryMaxMs: 180_000,
  /** What an HTTP handler of a watch may take unless it says so, and what the log keeps of it. */
  watchHandlerTimeoutMs: 10_000,
  watchFaultSizeBytes: 1_024,
  /**
   * `cert watch` tries again after this, later each time; but for what is left of the life / 10.
   */
  certRetryMs: 1_000,
  certRetryMaxMs: 60_000,
  /** It looks at the wall clock at least so often: machines sleep, and clocks are set. */
  certLookMs: 30_000,
  /**
   * What its command may take unless it says so, what it has to end when told, what is kept of
   * it.
   */
  certReloadTimeoutMs: 30_000,
  certReloadGraceMs: 5_000,
  certReloadKeptSizeBytes: 4_096,
  /** The session of `lock`, and how long one look at the key waits for a change. */
  lockSessionTtlMs: 15_000,
  lockWaitMs: 15_000,
  /** Between two tries while a lock delay is in effect. */
  lockRetryMs: 5_000,
  /** Between two tries of a holder whose agent failed. */
  lockMonitorRetryMs: 1_000,
  /** The child of `lock` has this long between SIGTERM and SIGKILL. */
  lockGraceMs: 5_000,
  /** How often a place of a semaphore is given back against others who write. */
  semaphoreTries: 64,

  /** How often files of the configuration are looked at with `auto_reload_config`. */
  configLookMs: 2_000,

  // --- secrets
  /** The path of a mount, or of a namespace, with its slashes. */
  mountPathChars: 512,
  /** How deep namespaces nest. */
  namespaceDepth: 16,
  /** Rows of what was unmounted that one transaction deletes, and mounts of a namespace. */
  removedRows: 1_000,
  removedMounts: 100,
  /** Rows of a mount that moves to another namespace, in one transaction. */
  movedRows: 250,
  /** Aliases that end in one transaction as their mount goes. */
  forgottenAliases: 128,
  /** Clients that rate limits of the secrets count, all quotas together. */
  quotaClients: 100_000,
  // --- the barrier
  /** Texts that one term of the keyring seals: nine tenths of what random nonces allow (2^32). */
  termOperations: 3_865_470_566,
  /** Terms that end by time last so long at least. */
  termIntervalMinMs: 86_400_000,
  /** Texts that a server reserves at a time. */
  termBlockOperations: 65_536,
  /** Counts of older terms that one change forgets. */
  termUsesForgotten: 256,
  /** An attempt of key holders that nobody goes on with for so long is forgotten. */
  sealAttemptMs: 3_600_000,
  /** For so long nobody ends an attempt without its nonce who has no right to. */
  sealAttemptGuardMs: 600_000,
  /** Changes of the keyring that a server which missed them can follow, and for how long. */
  sealTrailSteps: 32,
  sealTrailMs: 600_000,
  /** How often a change of the keys is tried against other servers' changes. */
  sealChangeTries: 5,
  /** How often a server looks whether a new term is due. */
  sealLookMs: 60_000,
  /** How long a start waits for the seal. */
  sealStartMs: 1_000,
  /** How often a sealed server asks the others. */
  sealPeerMs: 1_000,
  /** Pauses between tries to have an automatic seal open. */
  sealRetryMs: 1_000,
  sealRetryMaxMs: 60_000,
  /** One question to the server behind a transit seal, and its answer. */
  sealExchangeMs: 10_000,
  sealAnswerSizeBytes: 65_536,
  /** How often the token of a transit seal is renewed. */
  sealTokenRenewalMs: 3_600_000,

  // --- second factors of others
  /** How long a login waits for its factor: what is asked in all, and one question of it. */
  factorTalkMs: 60_000,
  factorExchangeMs: 10_000,
  /** Logins of a server that wait for one at a time. */
  factorTalks: 1_024,
  /** How often a service is asked what the user did, and the pauses between. */
  factorPolls: 60,
  factorPollMs: 1_000,
  /** How often a service that has too many requests is asked again, each time twice as late. */
  factorBusyTries: 3,
  /** One answer of a service. */
  factorAnswerSizeBytes: 262_144,
  /** A user's name or a passcode that goes into requests. */
  factorTextChars: 1_024,

  // --- tasks of sinks
  /** Sinks that are stored, and those of one configuration. */
  sinksStored: 100,
  sinksConfigured: 100,
  /** How often the server that runs stored sinks tells the others of them, where that changed. */
  sinkStatusMs: 1_000,
  /** Services and prefixes of keys that one sink follows. */
  sinkServices: 100,
  sinkPrefixes: 20,
  /** What a status keeps: lines of a plan, characters of a text, events. */
  sinkPlanLines: 200,
  sinkTextChars: 2_000,
  sinkEvents: 50,
  /** How long a target that was told to stop is waited for. */
  sinkStopMs: 5_000,

  // --- sinks
  /** A file that a sink writes, and a template that it is made of. */
  sinkFileSizeBytes: 8_388_608,
  /** What a sink gives a program to read. */
  sinkInputSizeBytes: 16_777_216,
  /** The end of what a program of a sink prints, which a refusal quotes. */
  sinkOutputSizeBytes: 4_096,
  /** A program of a sink that runs longer is ended, with all that it started. */
  sinkProgramTimeoutMs: 30_000,
  /** What nft prints of one set. */
  sinkListingSizeBytes: 16_777_216,
  /** An answer of HAProxy's to one command. */
  sinkAnswerSizeBytes: 16_777_216,
  /** What HAProxy may take for one command. */
  sinkExchangeMs: 5_000,
  /** One request of a webhook, where its settings do not say; pauses between its tries. */
  sinkRequestMs: 10_000,
  sinkRequestRetryMs: 500,
  sinkRequestRetryMaxMs: 30_000,
  /** How often connections are looked at that are let finish. */
  sinkDrainLookMs: 1_000,

  // --- following a feed from outside
  /** A stream that was lost is asked for again after this, later each time. */
  followRetryMs: 200,
  followRetryMaxMs: 15_000,
  /** How often a server is asked to show that it is there, and when it is taken for gone. */
  followHeartbeatMs: 5_000,
  followSilentMs: 20_000,
  /** One event of a stream; what is kept of one, in items; what is shown of a refusal. */
  followEventSizeBytes: 33_554_432,
  followItems: 500_000,
  followRefusalSizeBytes: 1_024,
  // --- the client package (gatehouse/client)
  /** One call, with what is tried on other servers; one try of what may be repeated. */
  clientCallMs: 10_000,
  clientTryMs: 4_000,
  /** How long a connection may take to come about. */
  clientConnectMs: 3_000,
  /** A server that failed is left alone for so long, twice as long each time, up to the second. */
  clientRetryMs: 100,
  clientRetryMaxMs: 5_000,
  /** Streams over one connection; the next one gets another. */
  clientStreamsPerConnection: 100,
  /** A message from a server, or to one. */
  clientMessageSizeBytes: 16_777_216,
  /** A silent connection under a call is asked for a sign of life, and cut without one. */
  clientPingMs: 10_000,
  clientPingTimeoutMs: 5_000,
  /** A feed says that it lives so often; one that says nothing for the second is opened anew. */
  clientHeartbeatMs: 10_000,
  clientSilenceMs: 25_000,
  /** The TTL of a registration and of a lock, unless they say otherwise. */
  clientTtlMs: 15_000,
  /** A registration that was left critical for so long is removed, unless it says otherwise. */
  clientRemoveAfterMs: 600_000,
  /** One wait for a lock on a server; then another is asked. */
  clientLockWaitMs: 20_000,
  /** A hold counts as lost so long before its session can end, a tenth of the TTL at least. */
  clientLockMarginMs: 500,
  /** What is said to the servers when a client is closed may take so long. */
  clientCloseMs: 2_000,
  /** Between two tries to renew a token, a secret or a certificate. */
  clientRenewRetryMs: 5_000,
  /** A secret without a lease is read anew so often. */
  clientSecretRefreshMs: 300_000,

  // --- stopping
  /** How long requests under way may take to finish once the agent stops. */
  drainTimeoutMs: 5_000,
  /** Log bytes that wait for a slow reader; beyond it lines are dropped. */
  logBufferSizeBytes: 8_388_608,

  /** Log lines that wait for one who follows the log; beyond it they are counted and dropped. */
  monitorLines: 2_048,

  /** The longest profile of the CPU. */
  profileMaxMs: 300_000,

  // --- metrics
  /** What waits for a collector over TCP; beyond it the connection is begun anew. */
  metricsSinkSizeBytes: 4_194_304,
  /** Series that are shown; those beyond it count for nobody. */
  metricSeries: 10_000,

  // --- lists over gRPC
  /** Items of a page whose size was left to the server. */
  grpcPageItems: 1_000,
  /** Items of a page, however many were asked for. */
  grpcPageItemsMax: 10_000,
  /** Bytes of values after which a page ends: clients take 4 MiB in one message. */
  grpcPageSizeBytes: 2_097_152,
  /** A token of a page: the longest key in base64. */
  grpcPageTokenChars: 65_536,
  /** How often whoever watches the servers looks at them without having been woken. */
  grpcServersLookMs: 60_000,
  /** How long a lock is waited for, whatever was asked for. */
  grpcLockWaitMaxMs: 600_000,

  // --- loop
  /** One slice of long work before the loop is given back. */
  sliceMs: 2,
} as const
