// What an elementwise CUDA source needs to be compiled by g++ and run on a CPU. No GPU code is run.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

using float16 = _Float16;

// bfloat16 as CuPy's header has it: stored in 16 bits, computed through float, rounded to nearest even.
class bfloat16 {
  std::uint16_t bits_ = 0;

 public:
  bfloat16() = default;
  bfloat16(float v) {
    std::uint32_t u;
    std::memcpy(&u, &v, 4);
    const bool nan = v != v;
    bits_ = nan ? 0x7fff : static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
  }
  operator float() const {
    const std::uint32_t u = static_cast<std::uint32_t>(bits_) << 16;
    float v;
    std::memcpy(&v, &u, 4);
    return v;
  }
};
