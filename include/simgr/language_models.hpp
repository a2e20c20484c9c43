// SPDX-License-Identifier: Apache-2.0
#pragma once

// Language models as encoders, and their published folders: what simgr/simgr.hpp leaves out, because
// a recommender without one should not pay for it.

#include <simgr/baselines/over_language_models.hpp>
#include <simgr/encoder/causal_lm.hpp>
#include <simgr/encoder/frozen_tokens.hpp>
#include <simgr/encoder/masked_lm.hpp>
#include <simgr/encoder/prompt_embedding.hpp>
#include <simgr/io/backbone.hpp>
#include <simgr/io/backbone_form.hpp>
#include <simgr/io/adapter_config.hpp>
#include <simgr/io/adapter_folder.hpp>
#include <simgr/io/config_fields.hpp>
#include <simgr/io/json_fields.hpp>
#include <simgr/io/language_model_facts.hpp>
#include <simgr/io/mapped_file.hpp>
#include <simgr/io/model_config.hpp>
#include <simgr/io/model_export.hpp>
#include <simgr/io/model_folder.hpp>
#include <simgr/io/model_layout.hpp>
#include <simgr/io/model_memory.hpp>
#include <simgr/io/model_weights.hpp>
#include <simgr/io/named_tensors.hpp>
#include <simgr/io/sentence_encoder.hpp>
#include <simgr/io/sentence_folder.hpp>
#include <simgr/io/tensor_names.hpp>
#include <simgr/io/tensor_plan.hpp>
#include <simgr/io/text_backbone.hpp>
#include <simgr/io/text_tokenizer.hpp>
#include <simgr/io/tokenizer_steps.hpp>
#include <simgr/nn/rotary_attention.hpp>
#include <simgr/nn/rotary_block.hpp>
#include <simgr/nn/sentence_pooling.hpp>
#include <simgr/text/added_tokens.hpp>
#include <simgr/text/aligned_text.hpp>
#include <simgr/text/bert_text.hpp>
#include <simgr/text/byte_alphabet.hpp>
#include <simgr/text/byte_pairs.hpp>
#include <simgr/text/character_map.hpp>
#include <simgr/text/join_tokens.hpp>
#include <simgr/text/metaspace.hpp>
#include <simgr/text/normal_form.hpp>
#include <simgr/text/pattern_split.hpp>
#include <simgr/text/pre_tokens.hpp>
#include <simgr/text/prompt_template.hpp>
#include <simgr/text/rewrite.hpp>
#include <simgr/text/text_tokenizer.hpp>
#include <simgr/text/token_index.hpp>
#include <simgr/text/unicode.hpp>
#include <simgr/text/unicode_categories.hpp>
#include <simgr/text/unicode_composition.hpp>
#include <simgr/text/unicode_decomposition.hpp>
#include <simgr/text/unicode_lower_case.hpp>
#include <simgr/text/unigram.hpp>
#include <simgr/text/word_piece.hpp>
