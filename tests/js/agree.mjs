// Folds and sequences what the Python tests generate: JSON in, JSON out.

import { text } from "node:stream/consumers";

import { fold, runSteps } from "./vector-runner.mjs";

const { logs = [], sequences = [] } = JSON.parse(await text(process.stdin));
const states = logs.map((log) => fold(log).state);
const steps = sequences.map((sequence) => runSteps(sequence));
process.stdout.write(JSON.stringify({ states, steps }));
