/**
 * Tiny video networks: find, train and run video classifiers that meet a latency limit on this machine.
 * Every call that lasts takes `{ signal, onProgress }`; every error thrown on purpose is a `TvnError` with a stable `code`.
 */
export type { Quarantined, Split } from './data/dataset.js'
export { type ErrorCode, TvnError } from './errors.js'
export { formatLimit, type LatencyLimit, parseLimit } from './latency/limit.js'
export type { LatencyReport } from './latency/measure.js'
export type { Verdict } from './latency/verdict.js'
export { type Classification, type LoadOptions, loadModel, type Model, type PredictOptions } from './model/model.js'
export type { Prediction } from './model/probabilities.js'
export type { Precision } from './native.js'
export type { Cost, LayerCost } from './network/cost.js'
export { Network } from './network/network.js'
export type { Block, NetworkJson, Stream } from './network/schema.js'
export type { Report } from './search/report.js'
export { type SearchOptions, type SearchProgress, type SearchResult, search } from './search/search.js'
export type { Preprocessing, Task } from './task.js'
export type { HistoryEntry } from './train/loop.js'
export type { Metrics, MultiLabelMetrics, SingleLabelMetrics } from './train/metrics.js'
export type { Recipe } from './train/recipe.js'
export { type TrainOptions, type TrainProgress, type TrainResult, train } from './train/train.js'
export { createTrainer, type Trainer, type TrainerOptions, type WeightedNetwork } from './train/trainer.js'
export { version } from './version.js'
