// The part of AudioWorkletGlobalScope that the worklets use; TypeScript's DOM library has none of it.
declare const sampleRate: number;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;
