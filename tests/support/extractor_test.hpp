// SPDX-License-Identifier: MIT
// doctest with LibTorch, whose logging has a CHECK, too.
#pragma once

#include <torch/script.h>

#include "extract.hpp"
#include "support/extractor_models.hpp"
#undef CHECK

#include <doctest/doctest.h>
