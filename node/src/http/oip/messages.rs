//! The protocol's messages, with the numbers and names that its `.proto` files give them: `grpc_service.proto` and, of
//! `model_config.proto`, what this server fills in. What REST tells as JSON is the same structs, by their field names.
//!
//! Written by hand, so that a build needs no `protoc`; the protocol's own clients check them.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

/// Nothing is asked but the call itself.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Nothing {}

/// `ServerLiveResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize)]
pub(crate) struct ServerLiveResponse {
    #[prost(bool, tag = "1")]
    pub(crate) live: bool,
}

/// `ServerReadyResponse` and `ModelReadyResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize)]
pub(crate) struct ReadyResponse {
    #[prost(bool, tag = "1")]
    pub(crate) ready: bool,
}

/// `ModelReadyRequest`, `ModelMetadataRequest`, `ModelConfigRequest` and `ModelStatisticsRequest`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct ModelRequest {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) version: String,
}

/// `ServerMetadataResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize)]
pub(crate) struct ServerMetadataResponse {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) version: String,
    #[prost(string, repeated, tag = "3")]
    pub(crate) extensions: Vec<String>,
}

/// `ModelMetadataResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize)]
pub(crate) struct ModelMetadataResponse {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, repeated, tag = "2")]
    pub(crate) versions: Vec<String>,
    #[prost(string, tag = "3")]
    pub(crate) platform: String,
    #[prost(message, repeated, tag = "4")]
    pub(crate) inputs: Vec<TensorMetadata>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) outputs: Vec<TensorMetadata>,
}

/// `ModelMetadataResponse.TensorMetadata`.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize)]
pub(crate) struct TensorMetadata {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) datatype: String,
    #[prost(int64, repeated, tag = "3")]
    pub(crate) shape: Vec<i64>,
}

/// `InferParameter`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct InferParameter {
    #[prost(oneof = "ParameterChoice", tags = "1, 2, 3, 4, 5")]
    pub(crate) parameter_choice: Option<ParameterChoice>,
}

/// `InferParameter.parameter_choice`.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum ParameterChoice {
    #[prost(bool, tag = "1")]
    Bool(bool),
    #[prost(int64, tag = "2")]
    Int64(i64),
    #[prost(string, tag = "3")]
    String(String),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(uint64, tag = "5")]
    Uint64(u64),
}

/// `InferTensorContents` of a request: what is taken here. Its other fields are passed over unread.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct InferInputContents {
    #[prost(uint32, repeated, tag = "4")]
    pub(crate) uint_contents: Vec<u32>,
    #[prost(float, repeated, tag = "6")]
    pub(crate) fp32_contents: Vec<f32>,
}

/// `InferTensorContents` of an answer: what is sent here.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct InferOutputContents {
    #[prost(float, repeated, tag = "6")]
    pub(crate) fp32_contents: Vec<f32>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub(crate) bytes_contents: Vec<Vec<u8>>,
}

/// `ModelInferRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ModelInferRequest {
    #[prost(string, tag = "1")]
    pub(crate) model_name: String,
    #[prost(string, tag = "2")]
    pub(crate) model_version: String,
    #[prost(string, tag = "3")]
    pub(crate) id: String,
    #[prost(btree_map = "string, message", tag = "4")]
    pub(crate) parameters: BTreeMap<String, InferParameter>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) inputs: Vec<InferInputTensor>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) outputs: Vec<InferRequestedOutputTensor>,
    /// One an input, instead of its contents.
    #[prost(bytes = "vec", repeated, tag = "7")]
    pub(crate) raw_input_contents: Vec<Vec<u8>>,
}

/// `ModelInferRequest.InferInputTensor`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct InferInputTensor {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) datatype: String,
    #[prost(int64, repeated, tag = "3")]
    pub(crate) shape: Vec<i64>,
    #[prost(btree_map = "string, message", tag = "4")]
    pub(crate) parameters: BTreeMap<String, InferParameter>,
    #[prost(message, optional, tag = "5")]
    pub(crate) contents: Option<InferInputContents>,
}

/// `ModelInferRequest.InferRequestedOutputTensor`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct InferRequestedOutputTensor {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(btree_map = "string, message", tag = "2")]
    pub(crate) parameters: BTreeMap<String, InferParameter>,
}

/// `ModelInferResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ModelInferResponse {
    #[prost(string, tag = "1")]
    pub(crate) model_name: String,
    #[prost(string, tag = "2")]
    pub(crate) model_version: String,
    #[prost(string, tag = "3")]
    pub(crate) id: String,
    #[prost(btree_map = "string, message", tag = "4")]
    pub(crate) parameters: BTreeMap<String, InferParameter>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) outputs: Vec<InferOutputTensor>,
    /// One an output.
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub(crate) raw_output_contents: Vec<Vec<u8>>,
}

/// `ModelInferResponse.InferOutputTensor`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct InferOutputTensor {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) datatype: String,
    #[prost(int64, repeated, tag = "3")]
    pub(crate) shape: Vec<i64>,
    #[prost(message, optional, tag = "5")]
    pub(crate) contents: Option<InferOutputContents>,
}

/// `ModelStreamInferResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ModelStreamInferResponse {
    /// Empty if there is an answer.
    #[prost(string, tag = "1")]
    pub(crate) error_message: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) infer_response: Option<ModelInferResponse>,
}

/// `ModelConfigResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct ModelConfigResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) config: Option<ModelConfig>,
}

/// `ModelConfig`, as far as it says something of a bundle.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize)]
pub(crate) struct ModelConfig {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) platform: String,
    #[prost(int32, tag = "4")]
    pub(crate) max_batch_size: i32,
    #[prost(message, repeated, tag = "5")]
    pub(crate) input: Vec<ModelConfigInput>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) output: Vec<ModelConfigOutput>,
    #[prost(string, tag = "17")]
    pub(crate) backend: String,
}

/// `ModelInput`; its dimensions are without the batch.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize)]
pub(crate) struct ModelConfigInput {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(int32, tag = "2")]
    #[serde(serialize_with = "by_name")]
    pub(crate) data_type: i32,
    #[prost(int64, repeated, tag = "4")]
    pub(crate) dims: Vec<i64>,
}

/// `ModelOutput`; its dimensions are without the batch.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize)]
pub(crate) struct ModelConfigOutput {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(int32, tag = "2")]
    #[serde(serialize_with = "by_name")]
    pub(crate) data_type: i32,
    #[prost(int64, repeated, tag = "3")]
    pub(crate) dims: Vec<i64>,
    #[prost(message, optional, tag = "5")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reshape: Option<Reshape>,
}

/// `ModelTensorReshape`: what the dimensions are in an answer.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize)]
pub(crate) struct Reshape {
    #[prost(int64, repeated, tag = "1")]
    pub(crate) shape: Vec<i64>,
}

/// `TYPE_FP32` of the enumeration `DataType`.
pub(crate) const TYPE_FP32: i32 = 11;
/// `TYPE_STRING` of the enumeration `DataType`.
pub(crate) const TYPE_STRING: i32 = 13;

fn by_name<S: Serializer>(data_type: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match *data_type {
        TYPE_FP32 => "TYPE_FP32",
        TYPE_STRING => "TYPE_STRING",
        _ => "TYPE_INVALID",
    })
}

/// `ModelStatisticsResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize)]
pub(crate) struct ModelStatisticsResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) model_stats: Vec<ModelStatistics>,
}

/// `ModelStatistics`: what this node was asked since it started.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize)]
pub(crate) struct ModelStatistics {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) version: String,
    /// ms since 1970.
    #[prost(uint64, tag = "3")]
    pub(crate) last_inference: u64,
    /// Images answered.
    #[prost(uint64, tag = "4")]
    pub(crate) inference_count: u64,
    /// The same: each image is answered for itself.
    #[prost(uint64, tag = "5")]
    pub(crate) execution_count: u64,
    #[prost(message, optional, tag = "6")]
    pub(crate) inference_stats: Option<InferStatistics>,
}

/// `InferStatistics`.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize)]
pub(crate) struct InferStatistics {
    /// Requests answered, from when they were read.
    #[prost(message, optional, tag = "1")]
    pub(crate) success: Option<StatisticDuration>,
    /// Requests not answered.
    #[prost(message, optional, tag = "2")]
    pub(crate) fail: Option<StatisticDuration>,
    /// Of each image's last part: on the way there and back, and waiting for its turn.
    #[prost(message, optional, tag = "3")]
    pub(crate) queue: Option<StatisticDuration>,
    #[prost(message, optional, tag = "4")]
    pub(crate) compute_input: Option<StatisticDuration>,
    /// Of each image's last part: its student's run.
    #[prost(message, optional, tag = "5")]
    pub(crate) compute_infer: Option<StatisticDuration>,
    #[prost(message, optional, tag = "6")]
    pub(crate) compute_output: Option<StatisticDuration>,
    #[prost(message, optional, tag = "7")]
    pub(crate) cache_hit: Option<StatisticDuration>,
    #[prost(message, optional, tag = "8")]
    pub(crate) cache_miss: Option<StatisticDuration>,
}

/// `StatisticDuration`.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize)]
pub(crate) struct StatisticDuration {
    #[prost(uint64, tag = "1")]
    pub(crate) count: u64,
    /// All together.
    #[prost(uint64, tag = "2")]
    pub(crate) ns: u64,
}

/// `RepositoryIndexRequest`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct RepositoryIndexRequest {
    #[prost(string, tag = "1")]
    pub(crate) repository_name: String,
    #[prost(bool, tag = "2")]
    pub(crate) ready: bool,
}

/// `RepositoryIndexResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct RepositoryIndexResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) models: Vec<ModelIndex>,
}

/// `RepositoryIndexResponse.ModelIndex`.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize)]
pub(crate) struct ModelIndex {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) version: String,
    /// `READY` or `UNAVAILABLE`.
    #[prost(string, tag = "3")]
    pub(crate) state: String,
    /// Why it is not.
    #[prost(string, tag = "4")]
    pub(crate) reason: String,
}
