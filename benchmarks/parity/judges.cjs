// Outputs of face-api and of @vladmandic/human's graphs in TensorFlow.js: node judges.cjs DIR NODE_MODULES. See judges.py.
// Pictures are DIR/pictures-SIZE.f32: float32 in [0, 255], (N, SIZE, SIZE, channels).
const fs = require('fs');
const path = require('path');

const [folder, modules] = process.argv.slice(2);
const at = (name) => path.resolve(modules, name);
const tf = require(at('@tensorflow/tfjs'));
const faceApi = require(at('@vladmandic/face-api/dist/face-api.node-wasm.js'));

const FACE_API = { age_gender: 'ageGenderNet', face_expression: 'faceExpressionNet', face_landmark_68: 'faceLandmark68Net', face_recognition: 'faceRecognitionNet' };
const GRAPHS = {
  graph: [9, 3, (x) => tf.sub(tf.div(x, 127.5), 1), ['probability', 'classes', 'flat']],
  faceres: [224, 3, (x) => x, ['gender_pred/Sigmoid', 'age_pred/Softmax', 'global_pooling/Mean']],
  emotion: [64, 1, (x) => tf.sub(tf.div(x, 127.5), 1), ['Identity']],
  facemesh: [192, 3, (x) => tf.div(x, 255), ['Identity_2', 'Identity_1']],
};

function pictures(size, channels, library) {
  const bytes = fs.readFileSync(path.join(folder, `pictures-${size}.f32`));
  const numbers = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const step = size * size * channels;
  return Array.from({ length: numbers.length / step }, (_, index) => library.tensor4d(numbers.slice(index * step, (index + 1) * step), [1, size, size, channels]));
}

async function faceApiOutputs(models) {
  const outputs = {};
  for (const [name, net] of Object.entries(FACE_API)) {
    await faceApi.nets[net].loadFromDisk(models);
    outputs[name] = [];
    for (const picture of pictures(name === 'face_recognition' ? 150 : 112, 3, faceApi.tf)) {
      const result = await faceApi.nets[net].forward(picture);
      outputs[name].push(name === 'age_gender' ? [...result.age.dataSync(), ...result.gender.dataSync()] : [...result.dataSync()]);
    }
  }
  return outputs;
}

async function graphOutputs(name, file) {
  const [size, channels, prepared, wanted] = GRAPHS[name];
  const model = JSON.parse(fs.readFileSync(`${file}.json`));
  const data = fs.readFileSync(`${file}.bin`);
  const artifacts = { ...model, weightSpecs: model.weightsManifest[0].weights, weightData: data.buffer.slice(data.byteOffset, data.byteOffset + data.length) };
  const graph = await tf.loadGraphModel({ load: async () => artifacts });
  return pictures(size, channels, tf).map((picture) => [graph.execute(prepared(picture), wanted)].flat().map((value) => [...value.dataSync()]).flat());
}

(async () => {
  await tf.setBackend('cpu');
  await faceApi.tf.setBackend('cpu');
  const outputs = {};
  for (const [name, value] of Object.entries(await faceApiOutputs(folder))) outputs[`random-${name}`] = value;
  for (const [name, value] of Object.entries(await faceApiOutputs(at('@vladmandic/face-api/model')))) outputs[name] = value;
  outputs['random-graph'] = await graphOutputs('graph', path.join(folder, 'graph'));
  for (const name of ['faceres', 'emotion', 'facemesh']) outputs[name] = await graphOutputs(name, at(`@vladmandic/human/models/${name}`));
  fs.writeFileSync(path.join(folder, 'outputs.json'), JSON.stringify(outputs));
})();
