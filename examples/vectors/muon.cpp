// A Muon step in C++, checked against a test vector. The reader knows no library: a safetensors file is eight bytes of
// length, a JSON header that names each tensor's dtype, shape and bytes, and the tensors.
//
//     python -m deva_conformance vectors --out vectors --rules Muon
//     c++ -std=c++17 -O2 muon.cpp -o muon && ./muon vectors/muon-gaussian-5x3.safetensors

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <stdexcept>
#include <string>
#include <vector>

struct Tensor {
    std::vector<std::size_t> shape;
    std::vector<double> values;
};
using Tensors = std::map<std::string, Tensor>;

std::vector<std::size_t> integers(const std::string& list) {
    std::vector<std::size_t> found;
    const std::regex number("\\d+");
    for (std::sregex_iterator it(list.begin(), list.end(), number), end; it != end; ++it) found.push_back(std::stoull(it->str()));
    return found;
}

// All tensors of a file are F64, little-endian, row by row; names hold no quotation marks.
Tensors read(const char* path) {
    std::ifstream file(path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    std::uint64_t length = 0;
    if (bytes.size() < 8) throw std::runtime_error("cannot be read");
    std::memcpy(&length, bytes.data(), 8);
    if (length > bytes.size() - 8) throw std::runtime_error("is no safetensors file");
    const std::string header = bytes.substr(8, length);
    const std::regex entry("\"([^\"]+)\":\\{\"dtype\":\"F64\",\"shape\":\\[([^\\]]*)\\],\"data_offsets\":\\[([^\\]]*)\\]\\}");
    Tensors found;
    for (std::sregex_iterator it(header.begin(), header.end(), entry), end; it != end; ++it) {
        const auto offsets = integers((*it)[3]);
        const std::size_t begin = 8 + length + offsets.at(0), size = offsets.at(1) - offsets.at(0);
        if (begin + size > bytes.size()) throw std::runtime_error("is cut off");
        Tensor tensor{integers((*it)[2]), std::vector<double>(size / 8)};
        std::memcpy(tensor.values.data(), bytes.data() + begin, size);
        found[(*it)[1]] = tensor;
    }
    return found;
}

template <class T> struct Matrix {
    std::size_t rows, columns;
    std::vector<T> x;
    explicit Matrix(const Tensor& t) : rows(t.shape.at(0)), columns(t.shape.at(1)), x(t.values.begin(), t.values.end()) {}
    Matrix(std::size_t m, std::size_t n) : rows(m), columns(n), x(m * n) {}
    T& operator()(std::size_t i, std::size_t j) { return x[i * columns + j]; }
    T operator()(std::size_t i, std::size_t j) const { return x[i * columns + j]; }
};

template <class T> Matrix<T> product(const Matrix<T>& A, const Matrix<T>& B) {
    Matrix<T> C(A.rows, B.columns);
    for (std::size_t i = 0; i < A.rows; ++i)
        for (std::size_t k = 0; k < A.columns; ++k)
            for (std::size_t j = 0; j < B.columns; ++j) C(i, j) += A(i, k) * B(k, j);
    return C;
}

template <class T> Matrix<T> transposed(const Matrix<T>& A) {
    Matrix<T> B(A.columns, A.rows);
    for (std::size_t i = 0; i < A.rows; ++i)
        for (std::size_t j = 0; j < A.columns; ++j) B(j, i) = A(i, j);
    return B;
}

template <class T> Matrix<T> combined(T a, const Matrix<T>& A, T b, const Matrix<T>& B) {
    Matrix<T> C(A.rows, A.columns);
    for (std::size_t k = 0; k < C.x.size(); ++k) C.x[k] = a * A.x[k] + b * B.x[k];
    return C;
}

// X over its largest entry, then over its Frobenius norm; zero stays zero.
template <class T> Matrix<T> normalized(Matrix<T> X) {
    T size = 0, sum = 0;
    for (T x : X.x) size = std::max(size, std::abs(x));
    if (size == 0) return X;
    for (T& x : X.x) x /= size;
    for (T x : X.x) sum += x * x;
    for (T& x : X.x) x /= std::sqrt(sum);
    return X;
}

template <class T> Matrix<T> newton_schulz(Matrix<T> X, const Tensor& coefficients) {
    for (std::size_t k = 0; k < coefficients.shape.at(0); ++k) {
        const double* c = &coefficients.values[3 * k];
        const auto A = product(X, transposed(X));
        X = combined(T(c[0]), X, T(1), product(combined(T(c[1]), A, T(c[2]), product(A, A)), X));
    }
    return X;
}

template <class T> struct State {
    Matrix<T> W, momentum;
};

// Muon with Nesterov's momentum and the shape factor "original", as the formula in vectors.json has it.
template <class T> State<T> step(const State<T>& before, const Matrix<T>& G, const Tensors& file) {
    const auto hyper = [&](const char* name) { return T(file.at(std::string("hyper/") + name).values.at(0)); };
    const T lr = hyper("lr"), beta = hyper("momentum");
    const auto M = combined(beta, before.momentum, 1 - beta, G);
    const auto O = newton_schulz(normalized(combined(beta, M, 1 - beta, G)), file.at("hyper/ns_coefficients"));
    const T factor = std::sqrt(std::max(T(1), T(G.rows) / T(G.columns)));
    return {combined(1 - lr * hyper("weight_decay"), before.W, -lr * factor, O), M};
}

template <class T> double distance(const Matrix<T>& actual, const Tensor& expected) {
    double sum = 0;
    for (std::size_t k = 0; k < actual.x.size(); ++k) sum += std::pow(double(actual.x[k]) - expected.values[k], 2);
    return std::sqrt(sum);
}

template <class T> bool agrees(const Tensors& file, const char* dtype) {
    bool good = true;
    for (int t = 1; file.count("step" + std::to_string(t) + "/gradient"); ++t) {
        const std::string at = "step" + std::to_string(t) + "/";
        const auto get = [&](const std::string& name) { return Matrix<T>(file.at(at + name)); };
        const auto after = step<T>({get("before/W"), get("before/momentum")}, get("gradient"), file);
        for (const auto& [name, actual] : {std::pair<std::string, Matrix<T>>{"W", after.W}, {"momentum", after.momentum}}) {
            const double error = distance(actual, file.at(at + "expected/" + name));
            const double budget = file.at(at + "budget/" + dtype + "/" + name).values.at(0);
            const bool within = error <= budget;  // false for a NaN, too
            std::printf("%s %s%s: off by %.2g of %.2g allowed%s\n", dtype, at.c_str(), name.c_str(), error, budget, within ? "" : "  TOO FAR");
            good = good && within;
        }
    }
    return good;
}

int main(int count, char** arguments) {
    if (count != 2) return std::fprintf(stderr, "usage: muon FILE.safetensors\n"), 2;
    try {
        const auto file = read(arguments[1]);
        if (!file.count("step1/gradient")) throw std::runtime_error("holds no test vector");
        const bool wide = agrees<double>(file, "float64"), single = agrees<float>(file, "float32");
        return wide && single ? 0 : 1;
    } catch (const std::exception& error) {
        return std::fprintf(stderr, "%s: %s\n", arguments[1], error.what()), 2;
    }
}
